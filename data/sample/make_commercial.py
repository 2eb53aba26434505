"""Write the binary documents of the commercial area of the sample knowledge base.

The prose lives here as data; the writers turn it into DOCX, PDF, PPTX and XLSX files below
``documents/commercial``. Dates and metadata are fixed, so that a re-run gives the same bytes. One file is
damaged on purpose: ``archive/board-pack-2019.pdf`` stands for the file that no parser can read.

Run from the repository root: ``.venv/bin/python data/sample/make_commercial.py``
"""

from __future__ import annotations

import datetime as dt
import random
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from docx import Document
from openpyxl import Workbook
from openpyxl.styles import Font
from pptx import Presentation
from pptx.util import Inches, Pt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import ListFlowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

ROOT = Path(__file__).resolve().parent / "documents" / "commercial"
STAMP = dt.datetime(2026, 9, 1, 9, 0, 0)
AUTHOR = "Tarnwick Instruments Ltd"

Cell = str | int | float
Rows = Sequence[Sequence[Cell]]
Block = tuple[str, str | Sequence[str] | Rows]
Slide = tuple[str, list[str], Rows | None, str]
Sheet = tuple[str, Rows]

SLA: list[Block] = [
    ("title", "Tern Cloud service level agreement"),
    (
        "p",
        "Document SLA-TC, edition 5, in force from 1 April 2026. Applies to the plans Basin, Reach and Estuary. It is part of "
        "the subscription contract and replaces edition 4 of June 2024. Questions: Caitlin Roy, Head of Support, Halifax.",
    ),
    ("h", "1. Terms used here"),
    (
        "p",
        "Availability is the share of minutes in a calendar month in which a customer could sign in, see readings no older than "
        "fifteen minutes beyond their upload interval, and receive alarms. We measure it from three places (Kendal, Montréal and "
        "Frankfurt); a minute counts as lost when at least two of the three cannot reach the service. Working hours are "
        "those of the support desk of the plan, see section 4.",
    ),
    ("h", "2. Availability"),
    (
        "table",
        [
            ["Plan", "Availability promised", "Allowed downtime in 30 days", "Service credits"],
            ["Basin", "99.5%", "3 h 36 min", "none"],
            ["Reach", "99.8%", "1 h 26 min", "yes"],
            ["Estuary", "99.95%", "21 min", "yes, higher"],
        ],
    ),
    (
        "p",
        "The promise covers the web application, the alarm service and the ingest of readings from loggers. It does not cover "
        "the sandbox, features marked as preview, and the map backgrounds, which a third party supplies.",
    ),
    ("h", "3. Maintenance"),
    (
        "p",
        "Planned maintenance takes place on Sundays between 04:00 and 07:00 UTC and is announced on the status page at least six "
        "working days ahead. It may take up to five hours a month, which do not count as downtime. From 20 December to "
        "3 January nothing is changed at all. Loggers keep their readings during maintenance and deliver them afterwards.",
    ),
    (
        "p",
        "Emergency maintenance, for instance to close a security hole, may be announced two hours ahead. Its first 30 minutes are "
        "not counted; every further minute is downtime.",
    ),
    ("h", "4. Support"),
    (
        "p",
        "Priority 1 means that alarms or ingest have failed for a whole account; priority 2 that an important function has failed and there "
        "is no way round it; priority 3 that something is wrong but can be lived with; priority 4 is a question or a wish. The customer "
        "proposes the priority, and the duty manager may change it once, giving a reason.",
    ),
    (
        "table",
        [
            ["First answer within", "Basin", "Reach", "Estuary"],
            ["Priority 1", "8 working hours", "2 hours", "30 minutes"],
            ["Priority 2", "2 working days", "6 hours", "3 hours"],
            ["Priority 3", "4 working days", "2 working days", "8 working hours"],
            ["Priority 4", "no promise", "6 working days", "3 working days"],
        ],
    ),
    (
        "p",
        "The desk for Basin is staffed on weekdays from 09:00 to 17:00 UK time and answers by e-mail only. Reach customers may also "
        "telephone, on weekdays from 07:00 to 22:00 UTC. Estuary customers reach an engineer at any hour, every day of the year, for "
        "priority 1; all their other tickets follow the hours of Reach. Support is given in English, Portuguese and French.",
    ),
    ("h", "5. Service credits"),
    (
        "p",
        "If availability falls below the promise, the customer receives a share of the monthly fee back as a credit on the next invoice. "
        "Credits are never paid out in cash.",
    ),
    (
        "table",
        [
            ["Availability in the month", "Credit on Reach", "Credit on Estuary"],
            ["below the promise, down to 99.0%", "5%", "10%"],
            ["below 99.0%, down to 98.0%", "15%", "25%"],
            ["below 98.0%", "30%", "60%"],
        ],
    ),
    (
        "p",
        "A claim must reach sla@tarnwick.example within 30 days of the end of the month concerned and name the account and the times. We "
        "answer within ten working days. The credits of one calendar year cannot exceed two monthly fees. Three months below 98.0% "
        "in any six entitle the customer to end the contract with 14 days' notice and to a refund of prepaid fees.",
    ),
    ("h", "6. Back-up and recovery"),
    (
        "table",
        [
            ["Plan", "Back-up every", "Back-ups kept", "Service restored within"],
            ["Basin", "12 hours", "14 days", "48 hours"],
            ["Reach", "6 hours", "35 days", "12 hours"],
            ["Estuary", "1 hour", "90 days", "4 hours"],
        ],
    ),
    (
        "p",
        "Back-ups are encrypted and lie in a second data centre at least 150 km away from the first. A full restore is rehearsed twice a "
        "year, in March and in September, and Estuary customers may ask for the protocol. Restoring data that a customer has deleted by mistake is "
        "free of charge once a year and costs £240 after that.",
    ),
    ("h", "7. Escalation"),
    (
        "p",
        "A priority 1 ticket that is not solved after two hours goes to the duty manager in Halifax. After five hours Caitlin Roy is told, after "
        "nine hours Idris Penhallow. Estuary customers receive an update at least once an hour, Reach customers every three hours. A written report "
        "follows within seven working days of the end of any priority 1 incident that lasted more than one hour.",
    ),
    ("h", "8. What is not our downtime"),
    (
        "ul",
        [
            "Failures of a mobile network or of the satellite operator.",
            "Blocked ports or filters in the customer's own network.",
            "Loggers with a flat battery, or with firmware that has been out of support for more than 18 months.",
            "Suspension for unpaid invoices or for use against the terms.",
            "Strikes, war, floods and other events beyond our control, as long as they last.",
        ],
    ),
    ("h", "9. Reports"),
    (
        "p",
        "Availability figures of the past month are published on the status page on the fifth working day. Estuary customers receive "
        "them as a signed PDF with the list of incidents; Reach customers on request. The figures are audited once a year by Holbeck Assurance of Leeds.",
    ),
    ("h", "10. When the contract ends"),
    (
        "p",
        "After the end of a subscription the account stays readable for 45 days, during which everything can be exported. Then the data is "
        "erased from the live systems within ten days, and disappears from the back-ups as these grow old. A certificate of erasure is issued free of charge "
        "if it is asked for before the end of the contract. Loggers remain the property of the customer and can be set to "
        "another server by a command that support gives out on request.",
    ),
    ("h", "11. Changes"),
    (
        "p",
        "We may improve this agreement at any time. A change to the customer's disadvantage is announced 90 days ahead, and gives the customer the right "
        "to leave on the day when it takes effect. Customers with a fixed price agreement keep their edition until it expires.",
    ),
]

TENDER: list[Block] = [
    ("title", "Tender NRC/2026/041: answers of Tarnwick Instruments Ltd"),
    (
        "p",
        "Northfell Regional Council, supply and installation of river monitoring at 60 sites. Submitted through the procurement portal on "
        "4 September 2026, one week before the deadline. Bid manager: Yusra Haddad-Lowe. Signed by Renske Dalhuis, CFO.",
    ),
    ("h", "Question 1: delivery and installation plan"),
    (
        "p",
        "Work starts on 11 January 2027 with a joint survey of all sites. From 8 February our crews install five sites a week, valley by valley, "
        "beginning in Upper Gaskdale. The last site is handed over on 7 May 2027. Two weeks are kept in reserve for floods and for lambing, when several farmers "
        "have asked us to stay off the fields. Each site is handed over with photographs, a signed sheet and a first month of data without gaps.",
    ),
    ("h", "Question 2: people"),
    (
        "p",
        "The project manager is Morwenna Tregear, who led the Calderwick project. Mechanical work is subcontracted to Dunmore Field Services of Penrith, with "
        "four fitters holding confined-space certificates. No other subcontractor will be used. Every person on site has a criminal-record check that is not older "
        "than two years.",
    ),
    ("h", "Question 3: compliance table"),
    (
        "table",
        [
            ["Requirement", "Asked for", "Offered"],
            ["Delivery of the first 20 sets", "12 weeks after award", "9 weeks after award"],
            ["Spares kept in the region", "3% of each type", "6% of each type"],
            ["Engineer on site after a fault report", "5 working days", "3 working days"],
            ["Training places", "20", "30 in three courses"],
            ["Validity of prices", "90 days", "120 days"],
            ["Completeness of data a year", "95%", "98.5%"],
            ["Product liability insurance", "£5 million", "£10 million"],
            ["Professional indemnity insurance", "£2 million", "£3 million"],
        ],
    ),
    ("h", "Question 4: quality and information security"),
    (
        "p",
        "Tarnwick has been certified to ISO 9001 since 2013 and to ISO/IEC 27001 since March 2024; the next surveillance audit takes place in November 2026. An "
        "independent firm tests Tern Cloud for weaknesses every spring. In the 2026 test it found no critical, two high and five medium weaknesses; "
        "the high ones were closed within 16 days. Council data will be held in Slough, with the second copy in Cardiff.",
    ),
    ("h", "Question 5: environment"),
    (
        "p",
        "Assembly in Porto runs on electricity from hydropower and from 640 m² of our own panels. The packing is 92% paper by weight. We take back all loggers at the end of their "
        "life without charge and reuse about a third of the parts. The carbon footprint of one installed site over ten years is 61 kg CO2e, a figure "
        "checked by Holbeck Assurance.",
    ),
    ("h", "Question 6: social value"),
    (
        "ul",
        [
            "Two apprenticeships in instrument mechanics for school leavers from the council's area.",
            "80 hours of volunteering a year for river cleaning, in paid time.",
            "Four open days at the Kendal test tank for schools; the council chooses the schools.",
            "Invoices of local subcontractors are paid within 14 days.",
        ],
    ),
    ("h", "Question 7: price"),
    (
        "p",
        "The total for five years is £212,000, of which hardware £118,400, installation £52,600, subscription £29,000 and training £12,000. "
        "Payment: 30% at award, 40% after the thirtieth site, 30% after the final handover. Prices rise by no more than 2.5% a year from the third "
        "year on. Liquidated damages of 0.5% of the installation price a week are accepted, up to 6%.",
    ),
    ("h", "Question 8: references"),
    (
        "p",
        "Calderwick Water (Hester Ollerenshaw) and the Ouse Headwaters Trust (Rowan Bickerdike, 33 sites since 2021) have agreed to be called. "
        "Site visits are possible at Ogden Clough on any Thursday.",
    ),
    ("h", "Question 9: exit"),
    (
        "p",
        "At the end of the contract the council owns all hardware and all data. We hand over the data in CSV files, train a successor for up to "
        "five days, and leave the SIM cards active for three months so that nothing goes dark in between.",
    ),
]

PARTNER: list[Block] = [
    ("title", "Tarnwick partner programme: guide for resellers"),
    (
        "p",
        "Edition 2026, valid from 1 April 2026 until further notice. Partner managers: Yusra Haddad-Lowe for Europe and overseas, Gavin MacEachern for "
        "North America. This guide explains what we offer, what we expect, and how to get paid.",
    ),
    ("h", "1. Three tiers"),
    (
        "p",
        "The programme has three tiers: Ford, Weir and Lock. New partners begin as Ford. The tier is reviewed once a year, in May, on the figures of the fiscal year just "
        "ended, and a change takes effect on 1 July.",
    ),
    (
        "table",
        [
            ["Condition or benefit", "Ford", "Weir", "Lock"],
            ["Purchases a year, at least", "£25,000", "£90,000", "£260,000"],
            ["Certified engineers, at least", "1", "2", "4"],
            ["Discount on meters, sensors and loggers", "15%", "22%", "28%"],
            ["Discount on reagents and spares", "8%", "12%", "17%"],
            ["Commission on Tern Cloud, first year", "6%", "10%", "14%"],
            ["Commission on Tern Cloud, later years", "2%", "4%", "6%"],
            ["Payment term", "30 days", "45 days", "60 days"],
            ["Demonstration units at 40% off", "1", "3", "6"],
            ["Marketing fund, share of last year's purchases", "none", "1%", "2.5%"],
        ],
    ),
    (
        "p",
        "A partner who misses the purchase threshold by less than 10% keeps the tier for one more year. Who misses it twice in a row goes down one tier, never two.",
    ),
    ("h", "2. Becoming a partner"),
    (
        "p",
        "Apply with the form on the trade portal. We ask for a company register extract, two customer references and the name of the person who will be trained. You hear from us within "
        "15 working days. The joining fee is £450 and includes the first training place. A contract runs for two years and is then renewed from year to year; either side may "
        "end it with four months' notice.",
    ),
    ("h", "3. Training and certification"),
    (
        "p",
        "Each engineer attends the base course of three days, in Kendal, Porto or Halifax, and passes a written test and a bench exercise. The pass mark is 75%. Who fails may try "
        "again after 14 days, and a third time only after repeating the course. The certificate is valid for 30 months; the refresher takes one day and may be taken on line.",
    ),
    (
        "p",
        "For satellite loggers there is an additional certificate. Only partners with at least one such engineer may sell the Heron H7. If the only certified engineer leaves the company, "
        "the partner has five months to train a successor.",
    ),
    ("h", "4. Registering a deal"),
    (
        "p",
        "Register every opportunity above £8,000 on the portal before you quote. We accept or refuse within three working days; silence counts as acceptance. A registration protects you for 90 days "
        "and can be extended once by 60 days if the customer confirms the project. The registered partner receives a further 5% off, and our own sales people "
        "will not quote the same customer for the same project.",
    ),
    (
        "p",
        "If two partners register the same deal, the one with the earlier visit report wins. Framework contracts of utilities with more than one million connections are outside deal registration.",
    ),
    ("h", "5. Marketing fund"),
    (
        "p",
        "Weir and Lock partners may spend their fund on exhibitions, translations, demonstration days and advertisements. Send a plan at least 20 days before the event. We refund half of the "
        "cost, up to the balance of the fund, after seeing the invoice and a photograph. Claims must arrive within 50 days of the event. Unused money lapses on 31 March.",
    ),
    ("h", "6. Orders, stock and returns"),
    (
        "p",
        "Partners order on the portal. Once a year, in September, Weir and Lock partners may send back unsold stock worth up to 5% of their purchases, in unopened cartons and not older than nine months, "
        "for a credit without deduction. Ford partners have no such right. Reagents are excluded.",
    ),
    (
        "p",
        "Every partner who holds stock keeps at least two exchange meters for customers. A forecast for the coming quarter is due on the tenth day of the last month of each quarter. Lock partners "
        "whose forecast is right within 15% receive a bonus of 1% on the purchases of that quarter.",
    ),
    ("h", "7. Support duties"),
    (
        "p",
        "The partner answers the customer's first call. Before a ticket is passed on to us, the partner has checked the power supply, the firmware and the last calibration, and attaches the logger's "
        "diagnostic file. We answer partner tickets within four working hours. Repairs under warranty may be done by Lock partners in their own workshop; we pay £38 an hour, for up to three hours a unit.",
    ),
    ("h", "8. Rules of the road"),
    (
        "ul",
        [
            "No sales through online marketplaces or auction sites.",
            "Sales outside the agreed territory are allowed on request of the customer, but earn no marketing fund.",
            "The Tarnwick name may be used with the word Partner and the tier; it must not be part of a company name or a web address.",
            "Gifts to public officials are forbidden, whatever the local custom. A meal of up to £35 a head is allowed.",
            "Customer data that a partner sees in Tern Cloud must not be used for other purposes, and the access is removed 30 days after a support case.",
        ],
    ),
    ("h", "9. Commission payments"),
    (
        "p",
        "Commission on Tern Cloud is paid by credit note in the month after each quarter. Amounts below £50 are carried forward. If a customer cancels within the first six months, the commission is taken "
        "back in proportion. Partners who leave the programme receive commission for another twelve months.",
    ),
    ("h", "10. Contacts and complaints"),
    (
        "p",
        "Write to partners@tarnwick.example. If you feel treated unfairly, write to Nadia Brandt, who answers within ten working days. The partner council, six members elected for two years, meets every "
        "November; in 2026 it meets in Porto on the 19th.",
    ),
]

LUMETRA: list[Block] = [
    ("title", "Supply agreement with Lumetra Optik s.r.o.: summary"),
    (
        "p",
        "For internal use in purchasing, finance and production. The signed contract (number LO-2025-03, 41 pages) is binding; this summary is not. "
        "Prepared by Filomena Barros, strategic purchasing, Porto, on 16 February 2026. Contract owner: Duarte Figueira.",
    ),
    ("h", "What we buy"),
    (
        "p",
        "Lumetra in Brno makes the infrared emitters for the Curlew C100 and the blue emitters for the oxygen sensor of the Merle M3. It is our only source for the infrared emitter. For the blue emitter "
        "a second source, Kinsei Photonics, has been qualified since May 2025 and receives 20% of the volume.",
    ),
    ("h", "Term and notice"),
    (
        "p",
        "The agreement runs from 1 January 2025 to 31 December 2027. It renews for one year at a time unless one side gives notice seven months before the end. If Lumetra is bought by another "
        "company, we may leave with 60 days' notice.",
    ),
    ("h", "Volumes and prices"),
    (
        "table",
        [
            ["Item", "Infrared emitter IR-860", "Blue emitter BL-470"],
            ["Minimum purchase a year", "7,200 pieces", "4,000 pieces"],
            ["Price each", "£11.80", "£7.35"],
            ["Price above 10,000 a year", "£10.90", "£6.90"],
            ["Lead time", "9 weeks", "6 weeks"],
            ["Buffer stock held in Brno", "1,500 pieces", "600 pieces"],
        ],
    ),
    (
        "p",
        "Prices are fixed until the end of 2026. After that they follow the Czech industrial price index, with a ceiling of 4% a year. If we buy less than the minimum, we pay 30% of the "
        "missing value, or carry the quantity over once into the next year.",
    ),
    ("h", "Ordering and delivery"),
    (
        "p",
        "Purchasing sends a rolling forecast for nine months on the first Monday of each month. The first eight weeks of it are binding. Delivery is FCA Brno; our carrier collects on Wednesdays. For each "
        "week of delay Lumetra owes 1.5% of the value of the late goods, with a maximum of 12%.",
    ),
    ("h", "Quality"),
    (
        "ul",
        [
            "Each reel comes with a spectrum sheet; the peak must lie within 4 nm of nominal.",
            "Incoming inspection in Porto takes 32 pieces a lot and accepts the lot with no more than one failure.",
            "Defects must be reported within 25 days of arrival, hidden ones within 24 months.",
            "Lumetra answers a complaint with a first analysis in five working days and a final report in 20.",
            "A change of chip, glue or factory needs our written consent and 150 days' notice.",
        ],
    ),
    ("h", "Other points"),
    (
        "p",
        "Drawings and test software remain ours. Confidentiality lasts for four years beyond the end of the contract. Each side insures its liability to £2 million. Payment is due 60 days after the invoice; within "
        "14 days we may deduct 1.5%. Disputes go to arbitration in Vienna, in English.",
    ),
    ("h", "People"),
    (
        "p",
        "At Lumetra: Zdenka Malikova (account), Radim Hosek (quality). At Tarnwick: Filomena Barros (orders), Vasco Antunes (incoming inspection). A review meeting takes place every six months; the next is in Brno on "
        "27 October 2026.",
    ),
    ("h", "Risks that finance should know"),
    (
        "p",
        "Renske Dalhuis has asked for a second source of the infrared emitter by June 2027. A stop of deliveries would halt C100 assembly after about eleven weeks, counting our own stock and the buffer in Brno.",
    ),
]

MEMBRANE: list[Block] = [
    ("title", "Post-mortem: faulty membrane caps for the Curlew C200, November 2025"),
    (
        "p",
        "Quality incident QI-2025-19, part SP-340, lot 25K-118. Author: Beatriz Quintela, Porto. Approved by Duarte Figueira on 30 January 2026. Circulated to support, sales and "
        "production.",
    ),
    ("h", "What happened"),
    (
        "p",
        "Between 20 October and 14 November 2025 we shipped 640 membrane caps of lot 25K-118, in 320 twin packs, to 71 customers in nine countries. In part of them the membrane came "
        "loose from its ring after one to three weeks in water. The sensor then reads too low, or jumps between zero and a high value. A low reading is the dangerous direction, since an "
        "automatic dosing pump answers it with more chlorine.",
    ),
    ("h", "How we noticed"),
    (
        "p",
        "On 18 November Nell Fogarty in Halifax saw that three tickets from different customers named the same lot. Production was stopped the same afternoon, and the remaining 212 caps in "
        "Porto and 58 in Halifax were locked away. Goods-out inspection had not found anything, because it checks caps dry.",
    ),
    ("h", "Extent"),
    (
        "table",
        [
            ["Measure", "Value"],
            ["Caps shipped", "640"],
            ["Caps returned for examination", "503"],
            ["Caps with a loose membrane", "89"],
            ["Customers with a wrong dosing event", "2"],
            ["Direct cost", "£23,400"],
            ["Of which courier shipments", "£6,150"],
        ],
    ),
    (
        "p",
        "The two dosing events happened at a public pool in Aveiro and at a dairy in Truro, Nova Scotia. Both were ended by independent limit alarms: in Aveiro at 3.1 mg/L after 40 minutes, in Truro at 2.4 mg/L after "
        "15 minutes. Nobody was hurt.",
    ),
    ("h", "Cause"),
    (
        "p",
        "The adhesive cures in an oven at 62 °C for 45 minutes. After a heater was replaced on 9 October, the oven showed 62 but reached only 51 °C at the back of the tray. Its sensor had been refitted in the "
        "front corner. The work order for the heater did not call for a temperature survey. Caps from the front row were sound, which is why the first samples passed.",
    ),
    ("h", "What customers received"),
    (
        "ul",
        [
            "A telephone call within two working days for drinking water customers, an e-mail for everyone else.",
            "Two replacement caps for each faulty one, together with a bottle of RK-220.",
            "A visit by an engineer where dosing depends on the sensor: 19 visits in all.",
            "Four more months of cover on the sensing part.",
        ],
    ),
    (
        "p",
        "Of the 71 customers, 68 had answered by 12 December. The last three were reached through their partners in January.",
    ),
    ("h", "What we changed"),
    (
        "ol",
        [
            "Temperature survey with nine probes after any work on an oven, in force since 24 November 2025 (Vasco Antunes).",
            "Soak test: 12 caps of each lot stand in water at 40 °C for 72 hours before release (Beatriz Quintela).",
            "The lot number is printed on the cap itself, not only on the bag, since lot 26A-003 (Hélder Pacheco).",
            "Support software warns as soon as two tickets in 30 days name the same lot (Nell Fogarty).",
        ],
    ),
    ("h", "Open point"),
    (
        "p",
        "A second oven of the same type stands in the Merle line. It was surveyed on 27 November and was found to be 3 °C too cold in one corner, which lies within its limits. It will be replaced in the "
        "summer shutdown of 2027 for £31,000.",
    ),
]

CLOUD_DECK: list[Slide] = [
    (
        "Tern Cloud: sales deck, autumn 2026",
        [
            "For account managers and partners of the tiers Weir and Lock",
            "Version 3.2, 24 August 2026",
            "Owner: Nadia Brandt; slides by Effie Garrow",
        ],
        None,
        "Not for publication. Figures as of 31 July 2026. Please do not send the file to customers; use the PDF extract without the last two slides.",
    ),
    (
        "Where we stand",
        [
            "1,940 organisations in 31 countries",
            "26,400 loggers connected, 3,100 of them by satellite",
            "Customers lost in the past twelve months: 3.1%",
            "Recommendation score +46, up from +39 a year ago",
        ],
        None,
        "If asked about the February outage: name it openly, and say what has changed since. Customers value that.",
    ),
    (
        "Who buys which plan",
        ["The typical upgrade from Basin to Reach comes after 14 months, when a second department joins"],
        [
            ["Plan", "Share of customers", "Share of revenue", "Typical customer"],
            ["Basin", "61%", "17%", "anglers' clubs, schools, small farms"],
            ["Reach", "31%", "44%", "fish farms, consultants, towns"],
            ["Estuary", "8%", "39%", "utilities, agencies, ports"],
        ],
        "Average contract on Estuary runs for 34 months.",
    ),
    (
        "The first meeting",
        [
            "Ask who gets up at night when an alarm comes",
            "Ask what the last false alarm cost",
            "Ask how many spreadsheets hold the data today",
            "Do not show the product in the first 20 minutes",
        ],
        None,
        "Meetings in which the demonstration starts later are won 1.6 times as often. Source: our own notes of 212 meetings.",
    ),
    (
        "Demonstration account",
        [
            "Use the tenant demo-beck with 22 invented sites",
            "It is reset every night at 03:00 UTC",
            "Never show a real customer's account, not even with permission",
            "The alarm button sends a real SMS: enter your own number first",
        ],
        None,
        "Passwords for demo-beck are changed on the first working day of each month and are in the sales vault.",
    ),
    (
        "Pilot offer",
        [
            "60 days on Reach, up to 8 loggers, free of charge",
            "Loggers are rented to the customer at half the weekly rate",
            "A success criterion is written down before the start",
            "58% of the pilots become contracts",
        ],
        None,
        "A pilot may be extended once, by 21 days. More than that needs Nadia Brandt's consent.",
    ),
    (
        "Objections",
        [
            "'We have our own control system': Tern Cloud feeds it, it does not replace it",
            "'Cloud data is not safe': offer a call with Pavel Hruska, who keeps two half-hour slots free every Wednesday",
            "'Aquasond is cheaper': true for fewer than 25 loggers; they charge extra for alarms and for each report",
            "'What if you disappear?': the source code lies in escrow with Norwood Trust, renewed in January 2026",
        ],
        None,
        "Never talk badly about Aquasond. Two of our best customers use both.",
    ),
    (
        "Road map (under non-disclosure only)",
        [
            "Import of laboratory results from PDF: December 2026",
            "Rainfall radar on the map: March 2027",
            "Forecast of oxygen for the next 36 hours: trial with five fish farms from June 2027",
            "Not planned: a version for the customer's own servers",
        ],
        None,
        "The oxygen forecast must not be promised in a contract.",
    ),
    (
        "Commission for account managers",
        [
            "New Estuary contract: 7% of the first year's fee",
            "New Reach contract: 5%",
            "Upgrade: 4% of the difference",
            "Basin: none, customers subscribe on line",
        ],
        None,
        "Paid with the salary of the second month after the customer's first invoice. Internal slide: remove before showing.",
    ),
]

H7_DECK: list[Slide] = [
    (
        "Heron H7 in North America: launch deck",
        ["Launch day: Monday 2 November 2026, Halifax", "Launch lead: Gavin MacEachern", "Budget: £46,000"],
        None,
        "The H7 has been sold in Europe since autumn 2024. This deck covers Canada and the United States only.",
    ),
    (
        "Why now",
        [
            "Approval by ISED in Canada came on 12 June 2026, by the FCC on 3 July 2026",
            "Two in five of our Canadian aquaculture leads have no mobile coverage",
            "The competitor Boreal Sense stops its BX-9 logger at the end of the year",
        ],
        None,
        "Boreal Sense has about 1,100 BX-9 in the field. Their owners are our first target.",
    ),
    (
        "Targets",
        [
            "350 units ordered by 31 March 2027",
            "At least 90 of them from former BX-9 owners",
            "15 reference sites, of which four in the United States",
            "Two partners with the satellite certificate in each country",
        ],
        None,
        "Stretch target 420 units. Bonus rules are in a separate letter.",
    ),
    (
        "Introductory offer",
        [
            "12% off for the first 60 orders, whatever their size",
            "Trade-in of a BX-9: £220 off, one for one",
            "First three months of airtime bundle S free of charge",
            "The offer ends on 26 February 2027 and cannot be combined with partner registrations",
        ],
        None,
        "Tell customers that the free airtime starts on activation, not on delivery.",
    ),
    (
        "Compared with others",
        ["Say 'different', not 'better', about battery life until the winter trial is over"],
        [
            ["Point", "Heron H7", "Boreal Sense BX-9", "Polar Node S"],
            ["Cold start in snow trial", "4 min", "11 min", "7 min"],
            ["Alarm on the telephone, median", "1.5 min", "9 min", "4 min"],
            ["Airtime contract, at least", "3 months", "24 months", "12 months"],
            ["Service desk in the region", "Halifax", "none", "Denver"],
        ],
        "Trial in Cape Breton Highlands, February 2026, three units of each make.",
    ),
    (
        "Stock and delivery",
        [
            "240 units arrive in Halifax by sea on 19 October",
            "A second batch of 160 follows in January",
            "Air freight from Porto only for orders above 25 units",
            "Antennas for masts over 4 m come from Dartmouth Metalworks",
        ],
        None,
        "Harmonised tariff papers: ask Dale Comeau.",
    ),
    (
        "Training and webinars",
        [
            "Satellite certificate: Halifax, 9-10 November; Duluth, 1-2 December",
            "Webinar in English: 12 November, 14:00 Atlantic time",
            "Webinar in French: 25 November, with Chantal Gervais",
            "Customers get the recording for 90 days",
        ],
        None,
        "Up to 16 places in each certificate course, £280 a person; the first place of each partner is free.",
    ),
    (
        "What can go wrong",
        [
            "Ice on the patch antenna: sell the heated cover, £74",
            "Customers expect pictures: say early that satellite carries figures only",
            "Activation on Fridays: the operator's desk closes at 15:00 Atlantic time",
            "Bears: see the installation note",
        ],
        None,
        "Escalations in the launch month go straight to Leona Purcell.",
    ),
]

PRICES: list[Sheet] = [
    (
        "Instruments",
        [
            ["Article", "Product", "Variant", "List price GBP", "Delivery weeks", "Remark"],
            ["M3-STD", "Merle M3", "pH, conductivity and temperature, 3 m cable", 1185, 1, "Replaces M3-BAS"],
            ["M3-OXY", "Merle M3", "as M3-STD with optical oxygen", 1420, 1, "Most ordered variant"],
            ["M3-LC", "Merle M3", "as M3-OXY with 10 m cable", 1535, 2, "Cable cannot be shortened"],
            [
                "M3-FF",
                "Merle M3",
                "Fish Farm set with hard case and two guards",
                1690,
                2,
                "Case also sold alone for 96",
            ],
            [
                "M2-RX",
                "Merle M2",
                "refurbished exchange unit, working M2 required in return",
                390,
                3,
                "While stock lasts",
            ],
            ["C100-A", "Curlew C100", "turbidity, 4-20 mA, 10 m cable", 1940, 4, "Built to order"],
            ["C100-M", "Curlew C100", "turbidity, RS-485, 10 m cable", 2085, 4, "Built to order"],
            ["C100-M60", "Curlew C100", "turbidity, RS-485, 60 m cable", 2360, 6, "Not returnable"],
            ["C200-M", "Curlew C200", "free chlorine, RS-485, with flow cell", 2455, 5, "First SP-340 included"],
            ["C200-X", "Curlew C200", "free chlorine, RS-485, without flow cell", 2090, 5, "For replacement only"],
            ["H5-EU", "Heron H5", "European bands, with lithium pack", 785, 1, "SIM for 36 months included"],
            [
                "H5-NA",
                "Heron H5",
                "North American bands, with lithium pack",
                815,
                1,
                "SIM for 24 months included, Canada only",
            ],
            ["H7-GL", "Heron H7", "satellite, with 20 W panel and bracket", 1690, 3, "Airtime separate"],
            ["H7-TR", "Heron H7", "satellite, with 20 W panel and steel tripod", 1985, 3, "Airtime separate"],
        ],
    ),
    (
        "Tern Cloud",
        [
            ["Item", "Basin", "Reach", "Estuary", "Unit"],
            ["Subscription, paid monthly", 39, 189, 1180, "GBP per month"],
            ["Subscription, paid yearly in advance", 420, 2010, 12480, "GBP per year"],
            ["Each logger above the number included", 8, 7, 5, "GBP per month"],
            ["Minimum term", 1, 6, 24, "months"],
            ["Set-up by our engineers", 150, 390, 1600, "GBP once"],
            ["Additional 500 SMS", 55, 48, 40, "GBP"],
        ],
    ),
    (
        "Airtime",
        [
            ["Bundle", "Messages per month", "Price GBP per month", "Each message above GBP", "Minimum term months"],
            ["S", 70, 14, 0.35, 3],
            ["M", 250, 31, 0.22, 3],
            ["L", 900, 74, 0.15, 6],
            ["Winter sleep", 4, 5, 0.60, 1],
        ],
    ),
    (
        "Services",
        [
            ["Code", "Service", "Price GBP", "Unit", "Condition"],
            ["SV-01", "Factory calibration Merle M2", 98, "instrument", "two points, certificate included"],
            ["SV-02", "Factory calibration Merle M3", 126, "instrument", "three points, certificate included"],
            ["SV-03", "Factory check Curlew C100", 165, "sensor", "windows polished if needed"],
            ["SV-04", "Electrode polishing Curlew C200", 178, "sensor", "new cap not included"],
            ["SV-10", "Commissioning day, Great Britain", 740, "day", "travel included on the mainland"],
            ["SV-11", "Commissioning day, Portugal and Spain", 640, "day", "travel included within 300 km of Porto"],
            ["SV-12", "Commissioning day, Atlantic Canada", 790, "day", "ferry costs extra"],
            ["SV-20", "Training, half day, up to 8 people", 480, "course", "at the customer's site"],
            ["SV-30", "Bench inspection out of warranty", 62, "instrument", "see returns procedure"],
            ["SV-31", "Express repair within 3 working days", 85, "instrument", "Kendal and Halifax only"],
        ],
    ),
    (
        "Service plans",
        [
            [
                "Plan",
                "Price per year, share of list price",
                "Calibrations per year",
                "Loan unit",
                "Spare parts discount",
                "Minimum term months",
            ],
            ["Harbour", "6%", 1, "no", "none", 12],
            ["Harbour Plus", "10%", 2, "after 10 working days", "10%", 24],
            ["Harbour Full", "15%", 4, "next working day", "25%", 36],
        ],
    ),
]

RENTAL: list[Sheet] = [
    (
        "Rates",
        [
            [
                "Item",
                "Set",
                "Week GBP",
                "Four weeks GBP",
                "Deposit GBP",
                "Shortest hire",
                "Units in the fleet",
                "Depot",
            ],
            ["RF-M3", "Merle M3 with oxygen", 70, 210, 300, "3 days", 24, "Kendal"],
            ["RF-M3H", "Merle M3 with oxygen", 75, 220, 300, "1 week", 9, "Halifax"],
            ["RF-C100", "Curlew C100 on a float", 120, 360, 500, "2 weeks", 10, "Kendal"],
            ["RF-C100P", "Curlew C100 on a wall panel", 135, 400, 500, "2 weeks", 6, "Porto"],
            ["RF-C200P", "Curlew C200 on a wall panel", 160, 480, 600, "4 weeks", 5, "Porto"],
            ["RF-H5", "Heron H5 with mast", 38, 115, 200, "2 weeks", 40, "Kendal"],
            ["RF-H7", "Heron H7 with panel and tripod", 92, 280, 450, "4 weeks", 12, "Kendal"],
            ["RF-H7H", "Heron H7 with panel and tripod", 98, 295, 450, "4 weeks", 4, "Halifax"],
            ["RF-BUOY", "Profiling buoy with winch", 540, 1700, 2500, "4 weeks", 2, "Kendal"],
        ],
    ),
    (
        "Conditions",
        [
            ["Point", "Rule"],
            ["Booking", "At least 5 working days ahead; the buoy 6 weeks ahead"],
            ["Cancellation", "Free until 3 working days before dispatch, then one week's hire"],
            ["Insurance", "Loss and flood are insured for 4% of the hire; excess £150 per item"],
            ["Cleaning", "Returned dirty: £45 per item, the buoy £260"],
            ["Late return", "A seventh of the weekly rate plus £10 for each day"],
            ["Purchase after hire", "60% of the hire of the last 8 weeks is deducted from the price"],
            ["Universities", "25% off from October to March, not on the buoy"],
            ["Data", "Hired loggers are connected to a Reach account for the time of hire and 30 days after"],
            ["Abroad", "Kendal units stay in the United Kingdom and Ireland; Porto units in the EU"],
        ],
    ),
    (
        "Fleet condition 2026",
        [
            ["Item", "Hired days in 2025-26", "Utilisation", "Damage cases", "To be replaced"],
            ["RF-M3", 5130, "59%", 14, "6 in January 2027"],
            ["RF-C100", 1980, "54%", 3, "none"],
            ["RF-C200P", 610, "33%", 2, "1 in March 2027"],
            ["RF-H5", 9240, "63%", 5, "none"],
            ["RF-H7", 3360, "77%", 4, "4 to be added in April 2027"],
            ["RF-BUOY", 402, "55%", 1, "winch overhaul in December 2026"],
        ],
    ),
]


def repack(path: Path) -> None:
    """Rewrite an OOXML file with fixed time stamps, so that equal content gives equal bytes."""
    with zipfile.ZipFile(path) as source:
        parts = [(name, source.read(name)) for name in source.namelist()]
    stamp = STAMP.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in parts:
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            info = zipfile.ZipInfo(name, date_time=STAMP.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, data)


def write_docx(path: Path, blocks: list[Block]) -> None:
    """Write headings, paragraphs, lists and tables to a Word document."""
    document = Document()
    document.core_properties.author = AUTHOR
    document.core_properties.title = str(blocks[0][1])
    lists = {"ul": "List Bullet", "ol": "List Number"}
    for kind, body in blocks:
        if kind == "title":
            document.add_heading(str(body), level=0)
        elif kind == "h":
            document.add_heading(str(body), level=1)
        elif kind in lists:
            for item in body:
                document.add_paragraph(str(item), style=lists[kind])
        elif kind == "table":
            table = document.add_table(rows=0, cols=len(body[0]), style="Light Grid Accent 1")
            for row in body:
                for cell, value in zip(table.add_row().cells, row, strict=True):
                    cell.text = str(value)
        else:
            document.add_paragraph(str(body))
    document.save(str(path))
    repack(path)


def write_pdf(path: Path, blocks: list[Block]) -> None:
    """Write the same kinds of block to a PDF with page numbers."""
    styles = getSampleStyleSheet()
    story: list[object] = []
    for kind, body in blocks:
        if kind == "title":
            story.append(Paragraph(str(body), styles["Title"]))
        elif kind == "h":
            story.append(Paragraph(str(body), styles["Heading2"]))
        elif kind == "ul":
            items = [Paragraph(str(item), styles["BodyText"]) for item in body]
            story.append(ListFlowable(items, bulletType="bullet", start="–", leftIndent=12))
        elif kind == "table":
            table = Table([[str(value) for value in row] for row in body], hAlign="LEFT", repeatRows=1)
            table.setStyle(
                TableStyle(
                    [
                        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                        ("BACKGROUND", (0, 0), (-1, 0), colors.lightgrey),
                        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 9),
                        ("FONT", (0, 1), (-1, -1), "Helvetica", 9),
                    ]
                )
            )
            story += [Spacer(1, 2 * mm), table, Spacer(1, 2 * mm)]
        else:
            story.append(Paragraph(str(body), styles["BodyText"]))
    SimpleDocTemplate(
        str(path),
        pagesize=A4,
        title=str(blocks[0][1]),
        author=AUTHOR,
        invariant=1,
        leftMargin=22 * mm,
        rightMargin=22 * mm,
        topMargin=20 * mm,
        bottomMargin=20 * mm,
    ).build(story)


def write_pptx(path: Path, slides: list[Slide]) -> None:
    """Write slides with a title, bullets, an optional table and speaker's notes."""
    deck = Presentation()
    deck.core_properties.author = AUTHOR
    deck.core_properties.title = slides[0][0]
    for title, bullets, table, notes in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        frame = slide.placeholders[1].text_frame
        frame.text = bullets[0]
        for bullet in bullets[1:]:
            frame.add_paragraph().text = bullet
        for paragraph in frame.paragraphs:
            paragraph.font.size = Pt(20)
        if table:
            slide.placeholders[1].height = Inches(1.2)
            shape = slide.shapes.add_table(len(table), len(table[0]), Inches(0.5), Inches(3.2), Inches(9), Inches(2.4))
            for r, row in enumerate(table):
                for c, value in enumerate(row):
                    shape.table.cell(r, c).text = str(value)
        slide.notes_slide.notes_text_frame.text = notes
    deck.save(str(path))
    repack(path)


def write_xlsx(path: Path, sheets: list[Sheet]) -> None:
    """Write one worksheet per table, with a bold header row."""
    book = Workbook()
    book.remove(book.active)
    book.properties.creator = AUTHOR
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for index, column in enumerate(sheet.columns, start=1):
            width = max(len(str(cell.value)) for cell in column)
            sheet.column_dimensions[sheet.cell(1, index).column_letter].width = min(width + 2, 60)
        sheet.freeze_panes = "A2"
    book.save(str(path))
    repack(path)


def write_damaged_pdf(path: Path) -> None:
    """Write a PDF header followed by bytes that no parser can make sense of."""
    noise = random.Random(2019).randbytes(7_300)
    path.write_bytes(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Cata" + noise + b"\nstartxref\n99999999\n")


def main() -> None:
    """Write all binary documents of the area."""
    for folder in ("archive", "incidents", "legal", "partners", "pricing", "sales", "suppliers", "tenders"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
    write_pdf(ROOT / "legal/tern-cloud-sla.pdf", SLA)
    write_pdf(ROOT / "tenders/northfell-tender-answers.pdf", TENDER)
    write_docx(ROOT / "partners/partner-programme-guide.docx", PARTNER)
    write_docx(ROOT / "suppliers/lumetra-supply-agreement-summary.docx", LUMETRA)
    write_docx(ROOT / "incidents/2025-11-c200-membrane-caps.docx", MEMBRANE)
    write_pptx(ROOT / "sales/tern-cloud-sales-deck.pptx", CLOUD_DECK)
    write_pptx(ROOT / "sales/heron-h7-north-america-launch.pptx", H7_DECK)
    write_xlsx(ROOT / "pricing/price-list-2026-27.xlsx", PRICES)
    write_xlsx(ROOT / "pricing/rental-fleet-rates-2026.xlsx", RENTAL)
    write_damaged_pdf(ROOT / "archive/board-pack-2019.pdf")


if __name__ == "__main__":
    main()
