"""Write the binary documents of the handbook (docx, pdf, pptx, xlsx).

The prose of each document stands below in a light markup: `#` title, `##` heading, `-` bullet,
`1.` step, `|` table row, blank line between paragraphs. In the slides `##` starts a slide.
Dates and metadata are fixed, so a second run writes the same bytes.

Run from the repository root: .venv/bin/python data/sample/make_handbook.py
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from docx import Document
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from pptx import Presentation
from pptx.util import Inches, Pt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

TARGET = Path("data/sample/documents/handbook")
AUTHOR = "Tarnwick Instruments Ltd"
ZIP_DATE = (2026, 9, 1, 8, 0, 0)

INFORMATION_SECURITY = """
# Information security policy

IS-01, version 6, effective 1 February 2026. Owner: Pavel Hruska, information security officer.
Approved by Idris Penhallow, CTO. Applies to staff, temporary workers and contractors at all three
sites.

## Purpose

Utilities trust our instruments to tell them whether drinking water is safe. A falsified reading
or a stolen signing key would harm people who have never heard of us. This policy says what each
of us does about it. Details stand in the standards IS-02 to IS-11; passwords are in IS-04.

## Four classes of information

| Class | Examples | Who may see it | On paper |
| Public | data sheets, newsletters | anyone | no rule |
| Internal | organisation charts, work instructions | staff | recycle |
| Confidential | prices, customers' readings, staff data | those who need it | shred, level P-4 |
| Restricted | firmware keys, board papers, takeover plans | named persons | numbered copies, locked away |

The author chooses the class. A document without a mark is treated as Internal. Confidential files
may be sent outside the company only encrypted or through a share link that expires within 14
days. Restricted material is never sent by e-mail, not even encrypted.

## Reporting an incident

Report anything suspicious within one hour of noticing it: extension 4400, or
security@tarnwick.example. Outside office hours the Halifax hotline wakes the officer on duty. Do
not switch the computer off; pull the network cable or turn off the Wi-Fi and leave it running, so
that traces remain. The duty officer classifies the incident within two hours as green, amber or
red. Red incidents go to Moira Askew at once, and customers affected hear from Caitlin Roy within
24 hours. Every amber or red incident is followed by a written review within ten working days.

A suspicious e-mail is reported with the button "Report phish". The team sends four test mails a
year; somebody who clicks twice in twelve months is invited to a 20-minute refresher, and nothing
else happens.

## Lost and stolen devices

Telephone the service desk on extension 4242 within two hours, day or night. The device is locked
and wiped remotely. Theft must also be reported to the police, and the reference number goes on
form S2. There is no deduction from salary for a first loss.

## Computers and phones

- Disks are encrypted; never switch this off, not even for a repair.
- Monthly updates are installed within 14 days of release, and critical ones within 72 hours.
- Lock the screen when you leave the desk: it locks by itself after five minutes.
- Only programs from the Software Shelf may be installed. Others are requested in Beck; the check
takes up to seven working days.
- Private computers are not used for work. Private phones are, but only with the container app.

## USB sticks and other media

Only the orange encrypted sticks issued by the service desk may be plugged in. They erase
themselves after ten wrong attempts. A stick found in the yard or received from a customer goes to
the check station in the Kendal workshop or at the Porto gatehouse, where scanning takes about
five minutes. Field engineers who load firmware on a Heron by card use the write-protected cards
of kit F-12.

## Access rights

Rights follow the job, not the person. Team leads review the rights of their people every quarter
and confirm in PeoplePort; rights that nobody confirms within 15 days are withdrawn. Administrator
rights are granted for at most 12 hours at a time. Accounts of leavers are closed at 18:00 on
their last working day, and at once in case of dismissal. A mailbox stays readable for the manager
for 30 days.

## Firmware signing

Keys for Merle, Curlew and Heron firmware live in two hardware modules, one in the Kendal strong
room and one in a bank vault in Lancaster. Signing a release takes three of five key holders. The
holders are Idris Penhallow, Pavel Hruska, Duarte Figueira, Kirsty Nolan and Yusuf Demir. A holder
who leaves is replaced within 20 working days in a recorded ceremony.

## Backups

Servers and Tern Cloud databases are backed up every night at 01:30 UK time. Daily copies are kept
for 35 days and monthly copies for 13 months. One copy is held in another region and cannot be
altered for 30 days. A full restore is rehearsed in May and November; the target is eight hours
for internal systems. Files on the local disk of a laptop are not backed up.

## Buildings

Badges are worn visibly. Ask anybody without one whether you can help. The server rooms may be
entered by six named people, and every visit is logged. Clear your desk of Confidential paper in
the evening; the cleaning staff have no clearance for it. Whiteboards are wiped after meetings
with visitors.

## Suppliers

A supplier who stores our data answers questionnaire Q-30 first, and again every two years. Those
with access to the production network must show a certificate under ISO/IEC 27001 or let us audit
them. Remote maintenance always runs through the jump host, with one of us watching.

## Exceptions and breaches

Pavel Hruska may grant exceptions for up to 90 days, and he keeps the list. An exception can be
renewed once. Wilful breaches may lead to dismissal; honest mistakes that are reported do not.

## Training and drills

Everybody takes "Security essentials" on joining and each year before the end of June. Developers
add a day of secure coding every second year. The management team plays through a red incident
every autumn; the 2025 drill found that the call list for Porto was out of date.
"""

SPEAKING_UP = """
# Speaking up: reporting wrongdoing in confidence

Policy HR-14, version 2, effective 15 October 2025. Owner: Fenella Marsh, chair of the audit
committee and non-executive director.

## What this policy is for

If you see something seriously wrong, you should be able to say so without fear. Examples are
fraud, bribery, falsified calibration certificates, danger to health, pollution of a river,
breaches of data protection, and attempts to hide any of these. Quarrels about shifts, appraisals
or pay belong in the grievance procedure and not here, unless they involve discrimination.

You need not have proof. A reasonable suspicion is enough, even if it turns out to be mistaken.

## Five ways to report

1. Your manager, or the manager above.
2. Oluwaseun Bright, Head of People, or, for Porto, Inês Barroso, who is the local reporting
officer required by Portuguese law.
3. Clearwell, the external hotline: 0800 555 0133 from the UK, 800 555 013 from Portugal and
1 833 555 0133 from Canada. It answers at all hours in English, Portuguese and French.
4. The web form at clearwell.example, with the company code TARN-46.
5. Fenella Marsh herself, by letter to the registered office marked "To be opened by addressee
only", if the report concerns a member of the management team.

You may stay anonymous on every route. Clearwell gives you a number with which you can read our
questions and answer them. Calls to Clearwell are not recorded, and numbers are not passed on.

## What happens next

You get an acknowledgement within five working days. Two people who have nothing to do with the
matter look into it; one of them always comes from outside the site. You hear the outcome, or a
reasoned interim report, within 60 days. In Portugal the law sets three months as the outer limit,
but we hold ourselves to the shorter period everywhere. If you disagree, you can ask the audit
committee for a review within 20 working days.

Where the law was broken, Fenella Marsh decides whether the police or a regulator is told. Reports
about falsified measurements are always shared with the accreditation body.

## Protection

Retaliation is misconduct, whether it is a dismissal, a worse shift, a missed pay rise or a
cold shoulder. Anne-Lise Thorsrud of the People team checks on the reporter's situation after
three, six and twelve months. Protection covers colleagues who helped, former employees,
applicants and suppliers' staff too. Your name is known to at most three persons, unless you agree
to more or a court demands it.

Somebody who knowingly makes a false report is not protected.

## Records

Files are kept apart from personnel files, in the Restricted class, for five years after the case
is closed. Reports that were found to be outside the policy are erased after two months.

## Numbers

The board sees figures every year, without names. In the fiscal year 2025–26 there were nine
reports: four from Porto, three from Kendal and two from Halifax. Three were confirmed. One led to
the withdrawal of 26 calibration certificates, and the customers were given new ones free of
charge.

## Outside bodies

Nothing in this policy, nor in any settlement agreement, stops you from going to a regulator, the
police, a member of parliament or a union. Free advice in the UK is available from the charity
named on the poster in each canteen.
"""

PROCUREMENT = """
# Procurement policy

PU-02, version 5, effective 1 April 2026. Owner: Lennart Ahlgren, Head of Purchasing, Kendal,
extension 4330.

## The short version

Ask for a purchase order before you order. An invoice without a number in the form PO-26-00000 is
returned to the sender. Splitting a purchase to stay below a limit is misconduct.

## How much, how many quotes, who signs

All values are without VAT and for the whole term of the contract.

| Value | Quotes needed | Who approves |
| up to £300 | none | anyone with a team card |
| over £300 to £4,000 | one, in writing | budget owner |
| over £4,000 to £20,000 | three | head of department |
| over £20,000 to £90,000 | tender with at least four invitations | head of department and CFO |
| over £90,000 | tender, published | board |

Duarte Figueira may approve production material for Porto up to £60,000 alone, because lead times
are short. Legal, audit and insurance services always go through the CFO, whatever they cost. If
only one source exists, fill in form PU-7 and let Purchasing confirm it; this replaces the quotes
but not the approval.

## New suppliers

Purchasing sets up a supplier within ten working days, once it has the bank letter, the tax
number, the signed code of conduct for suppliers and, where data are handled, questionnaire Q-30.
Changes of bank details are confirmed by telephone, on a number that we already had. Two attempts
at fraud were stopped by this call in 2025.

A supplier owned by an employee or a near relative needs the consent of Renske Dalhuis, and that
employee takes no part in the choice.

## Parts that go into instruments

Electrodes, optical windows, membranes and radio modules are critical parts. For each of them
there are two approved sources or a safety stock of 16 weeks. A change of source needs a first
article inspection of 30 pieces at Porto and a trial of 1,000 hours. Purchasing visits the makers
of critical parts every 18 months, and those of other parts when their rating falls below 70
points out of 100.

## Software and subscriptions

Any software that holds company data is checked by information security before it is bought. A
subscription ends by default after 12 months unless its owner confirms it in January. Free trials
count as purchases if they ask for real data.

## Sustainability

For orders above £10,000 the environment counts for 15% of the score, and price for no more than
50%. Paper is 100% recycled. Office furniture is bought second-hand when it can be delivered
within six weeks.

## Goods received

Check the delivery against the order within two working days and enter it in the finance system.
Short or damaged deliveries are reported to the carrier within five calendar days. Chemicals are
refused if the safety data sheet is missing.

## Paying

Our standard term is 30 days from receipt of a correct invoice; suppliers with fewer than 50
employees are paid within 15 days. Prepayment above £2,500 needs a bank guarantee. Payment runs
are on Tuesdays and Fridays. Invoices go to invoices@tarnwick.example as PDF, one file for each
invoice.

## Team cards

Each team may have one card with a limit of £900 a month. It is not for travel, alcohol, gift
vouchers or software. The card holder uploads the receipts by the third working day of the
following month; after two late months the card is stopped for 90 days.

## Selling old equipment

Laptops older than four years are offered to staff for £60 after erasure, by lot, in June and
December. Used laboratory instruments go to the schools of Cumbria and Maia free of charge.
"""

TRAINING = """
# Training budget and study support

HR-11, version 4, effective 1 April 2026. Contact: Anne-Lise Thorsrud, learning and development,
extension 4213.

## Your yearly budget

Each employee has a personal training budget for every fiscal year.

| Site | Budget per person | Paid training days | Who approves |
| Kendal | £950 | 6 | line manager |
| Porto, offices | £800 | 6 | line manager |
| Porto, assembly | £650 | 5 | shift leader and Duarte Figueira |
| Halifax | £875 | 7 | Caitlin Roy |

The budget cannot be carried over, but two years' budgets may be combined for one course if you
announce it before 31 May. Orders must reach us by 28 February, so that the course starts in the
same fiscal year. Trial-period employees may use one third of it. Travel to a course is charged to
the department and not to your budget.

Mandatory training, such as first aid, forklift or laboratory safety, is paid centrally and costs
you nothing.

## How to apply

1. Find a course, and say in three sentences what you will do with it.
2. Fill in form L3 in PeoplePort at least 20 working days before the start.
3. Your manager answers within five working days. A refusal must name another course or date.
4. Anne-Lise books and pays. Do not pay yourself: private payments are repaid only up to £100.

## Degrees and long courses

For a degree or a professional qualification that serves your work, the company pays 70% of the
fees, at most £4,500 in each year, plus eight days of study leave and the days of the examinations.
Four places are awarded each May by a panel of Oluwaseun Bright, Idris Penhallow and a member of
the works council. At present there are apprentices in metrology (three), a master's student in
hydrology and two future accountants.

## If you leave soon afterwards

Courses costing more than £1,800 come with a repayment agreement.

| Time since the end of the course | Share to repay |
| less than 6 months | 100% |
| 6 to 12 months | 60% |
| 12 to 18 months | 30% |
| more than 18 months | nothing |

Nothing is repaid after redundancy, illness or parental leave.

## Examinations and memberships

The company pays the first attempt at an examination and half of the second. One membership of a
professional body is paid each year, up to £220; accredited calibration staff may have two.

## Languages

Lessons in English, Portuguese and French are free for all staff: one hour a week in groups of at
most six, in working time. Those who reach level B2 in the language of another site receive a
single bonus of £350.

## Conferences

Speakers at conferences travel at the company's cost outside the personal budget. Listeners use
their budget, and give a 15-minute talk in the Thursday colloquium within four weeks of coming
back.

## Learning on the job

A week in another department is possible once in two years. Exchanges between Kendal, Porto and
Halifax last from two to twelve weeks; the company pays the flight, a furnished flat and £18 a day.
The next deadline for exchanges is 15 January 2027. In the library on the second floor at Kendal,
books may be kept for six weeks.
"""

MINUTES = """
# Works council: minutes of the 31st meeting

Thursday 17 September 2026, 13:30 to 16:05, room Windermere and by video.

Present: Hollis Braithwaite (chair, Kendal), Priya Raman (Kendal), Nuno Vilaça and Carla Moutinho
(Porto), Odette Comeau (Halifax). For the company: Oluwaseun Bright, Duarte Figueira (items 3 and
4), Renske Dalhuis (item 5). Apologies: Tobias Fell. Minutes: Priya Raman.

## 1. Minutes of the 30th meeting

The minutes of 18 June were approved with one correction: the trial of the four-day week ran with
22 volunteers and not 20.

## 2. Four-day week in development

Oluwaseun Bright reported on the trial from January to June. Output measured by closed tickets
rose by 3%, sick days fell from 4.1 to 2.9 a head, and the number of weekend releases was
unchanged. Four people gave up because the days were too long. The council agreed to a second
trial from 1 November 2026 to 30 April 2027 with up to 40 people from development and finance.
Hours stay at 35 a week for full pay. Halifax is excluded until the rota has been recalculated;
Odette Comeau voted against this point.

## 3. Heat on the Porto assembly floor

On 14 days this summer the floor was above 30 °C, with a peak of 34.5 °C on 22 July. Duarte
Figueira will have external blinds fitted to the west front by 31 May 2027 and buy eight fans for
line 1 now, at a cost of £41,000 in all. Until then the following holds: above 28 °C an extra break
of ten minutes every two hours, above 31 °C work without coats outside the clean bench, and above
33 °C the afternoon shift ends at 20:30 without loss of pay.

## 4. Saturday work at Porto

Because of the orders for C200 sensors, line 2 will work on five Saturdays between 10 October and
28 November. It is voluntary; pay is 175%, and nobody may work more than three of the five. The
council consented by four votes to one.

## 5. Profit share

Renske Dalhuis presented the result for 2025–26. The profit share comes to £1,340 for a full-time
employee and is paid with the October salary. Those who joined after 1 October 2025 receive half.
Part-timers are paid in proportion. The pot is 9% of operating profit, as in the year before.

## 6. Field Services

The council gave its consent to the new team. Condition: the shift pattern is reviewed after six
months, and no engineer is on call for more than one week in four. Nuno Vilaça asked that the
three engineers based at Porto keep their parking spaces; this was promised.

## 7. Cameras

The company wishes to place a camera in the Halifax lift lobby. The council refused, since no theft
has been recorded there. A mirror will be put up instead.

## 8. Canteen at Kendal

A survey with 71 replies wants a second vegetarian dish on Tuesdays. Miller's Table will try it
from 5 October for eight weeks. The price of the main dish stays until March 2027.

## 9. Elections

The council is elected every three years; the next ballot is on 11 March 2027. Lists close on 4
February. Kendal elects three members, Porto three and Halifax one. Anyone with six months of
service may stand. Election officer: Anneli Sorsa.

## 10. Any other business

The summer party on 4 July cost £38 a head and stayed £600 below its budget. The choir asks for a
piano tuner. The next meeting is on Thursday 10 December 2026 at Porto, room Douro.
"""

CODE_OF_CONDUCT = """
# Code of conduct

Tarnwick Instruments Ltd. Edition 5, April 2026. Foreword by Moira Askew.

## Foreword

Idris and I founded this company in 2009 because a fish farmer on Windermere had lost his stock to
a meter that lied. We promised ourselves that our readings would be honest and that we would be,
too. This booklet is short so that you will read it. You sign it on joining and again each April.
If you are unsure, ask yourself three questions: is it legal, is it fair, and would I mind reading
about it in the Westmorland Gazette? If any answer troubles you, talk to somebody first.

## 1. Honest measurements

We never alter, invent or leave out a reading. A calibration that failed is recorded as failed. A
certificate may be signed only by the person who did the work or saw it done. Corrections are made
so that the old value stays legible, with date and initials. Nobody may be asked to hurry a
result, and every technician may stop a delivery; the stop can be lifted only by the Head of
Quality, Kirsty Nolan.

## 2. Gifts and hospitality

You may accept or give a present worth up to £40, once a year from or to the same person. Money and
vouchers are never allowed. Meals and events are acceptable up to £75 a head if business is really
discussed. Anything above those limits needs the consent of your head of department beforehand.

Employees of public utilities and authorities may be offered nothing but drinks and a simple lunch
of up to £20. Enter each gift or invitation above £15, given or received, in the gifts register in
PeoplePort within seven working days. During a tender we accept nothing at all from bidders, and
offer nothing to those who decide.

Presents that arrive at Christmas and cannot be refused are raffled at each site in January for the
benefit of a rivers trust. In 2025 the raffle raised £1,185.

## 3. Bribery and agents

We pay no bribes and no facilitation payments, however small or customary. If you are threatened,
pay, get safe and report it within 24 hours: this is not held against you. Sales agents are checked
before we sign and every three years afterwards. Their commission may not exceed 12% of the order
and is paid only into an account in the country where they work.

## 4. Conflicts of interest

Tell your manager and enter it in PeoplePort if you, your partner or a near relative

- own more than 2% of a customer, supplier or competitor,
- work for one of them in a post where decisions about us are made, or
- apply for a job in a team which you lead.

Relatives do not report to each other. Couples at work are nobody's business, unless one of them
manages the other; in that case tell the People team within one month, and we move one of the two
without loss of grade.

## 5. Second jobs

A second job or a business of your own is allowed if it does not compete with us, does not use our
equipment and leaves you rested. Ask in writing; up to eight hours a week are normally approved,
and silence for 15 working days counts as consent. Unpaid posts in clubs, councils and the mountain
rescue need no permission, and call-outs of the mountain rescue in working hours are paid.

## 6. Fair treatment

We do not discriminate on grounds of sex, race, religion, belief, disability, age, sexual
orientation, family or trade union membership. Job advertisements name the pay band. Interview
panels have at least three members, of different sexes. Bullying and harassment include jokes,
pictures and messages outside work if colleagues are involved. A complaint is answered within ten
working days.

## 7. Alcohol and drugs

No alcohol is drunk during working hours, nor on company ground except at events that a head of
department has announced. Drivers, laboratory staff and those on the assembly floor have a limit of
zero. Anyone who asks for help with an addiction gets up to six weeks of paid treatment and keeps
the job.

## 8. Speaking for the company

Only Moira Askew, Idris Penhallow and the press officer, Lowri Tennant, speak to journalists. Pass
enquiries to press@tarnwick.example within two hours. In social media say that you speak for
yourself, do not name customers and publish no photographs of the laboratory or of the assembly
floor. Talks at conferences are sent to Lowri eight working days before.

## 9. Politics and donations

The company gives nothing to parties or candidates. Each site may give away £3,000 a year to local
causes; the staff vote in November. You may be politically active in your own time and without our
logo.

## 10. Competition

Do not talk to competitors about prices, customers, tenders or salaries. Leave a meeting where
others begin to do so, see to it that your leaving is minuted, and tell Renske Dalhuis on the same
day. Trade association meetings need an agenda approved in advance.

## 11. Company property

Tools and loan instruments may be borrowed privately for up to two weekends a year, with the
agreement of the team lead; firmware and customers' data never. Personal use of telephone and
internet is fine while it does not disturb work. Inventions made in connection with your work
belong to the company; the inventor receives £500 on filing and £1,500 on grant of the patent.

## 12. If the code is broken

Breaches are looked into by two people from outside the team. The person concerned is heard, and
may bring a colleague or union officer. Steps range from a talk to dismissal; warnings are removed
from the file after 18 months. In the fiscal year 2025–26 there were eleven cases, of which seven
ended with a talk, three with a warning and one with a dismissal.

Reports in confidence go through the routes in "Speaking up". Questions about this booklet:
conduct@tarnwick.example.
"""

SICKNESS = """
# Sickness absence and wellbeing

HR-06, version 8, effective 1 May 2026. Owner: Anne-Lise Thorsrud, People team.

## Telling us

Speak to your manager or shift leader; a message through a colleague is not enough. The times
differ from site to site because of the shifts.

| Site | Call by | Number | Certificate from |
| Kendal | 09:15 on the first day | +44 1539 555 0107 | day 8 |
| Porto | 45 minutes before the shift | +351 22 555 0166 | day 4 |
| Halifax | 90 minutes before the shift | +1 902 555 0123 | day 6 |

For the first days fill in the self-certificate in PeoplePort on your return. Porto staff may issue
at most two self-declarations a year through the national health line. Keep in touch once a week
during longer absence; agree the day with your manager.

## Sick pay

At Kendal sick pay in any rolling year is full salary for eight weeks and half salary for another
eight; after five years of service both periods become twelve weeks. During the first three months
only the statutory rate is paid. At Porto the company makes the social security benefit up to 90% of
net pay for 60 days. At Halifax there are ten paid sick days a year, and after them the insurer,
Bluenose Mutual, pays 66% of salary from the 15th day for up to 17 weeks.

## Coming back

Your manager holds a short return talk on the first or second day. After more than four weeks away
a plan is made with Fellside Occupational Health. A phased return lasts up to five weeks at full
pay, beginning with at least 40% of the usual hours. Nobody has to tell the manager the diagnosis.

## When absences add up

Three absences in six months, or 14 days in twelve months, lead to a supportive conversation. It is
not a warning. Absences because of disability, pregnancy or an accident at work do not count. A
formal review may begin only after the third such conversation, and a member of the works council
can be present.

## Appointments

Go to the doctor or dentist outside working hours if possible. Otherwise up to two hours are paid for
each appointment; hospital appointments are paid in full. Eye tests for screen users are paid every
two years up to £32, and towards screen glasses there is £75. Flu vaccination is free at all sites in
October.

## Talking to someone

Brightwater, the employee assistance service, is free, confidential and open at all hours: 0800 555
0171 in the UK, 800 555 017 in Portugal and 1 833 555 0171 in Canada. Each employee, and each
partner, has seven sessions of counselling a year. It advises on debt, law and care of the elderly
as well. The company sees only how many people called.

## Infectious illness

Stay at home for 48 hours after the last vomiting or diarrhoea. Laboratory staff who handle drinking
water samples stay away for 72 hours. Colleagues with a cold work from home, if their job allows it,
or wear one of the masks from reception.

## Injured at work

Every injury goes into the accident book on the same day, however small. An injury that keeps you
away for more than seven days is notified to the authority by the safety adviser, Ansel Dockray.
Salary is paid in full for 26 weeks.
"""

LAB_SAFETY = """
# Safety in the Kendal workshop and calibration laboratory

Site instruction KS-3, edition of 9 March 2026. Safety adviser: Ansel Dockray, extension 4163.
Laboratory manager: Marguerite Lowe, extension 4190.

## Who may come in

You need the half-day induction, which is valid for two years. Visitors stay behind the yellow line
unless Marguerite has fitted them out. Under-18s enter only on the open day. The laboratory holds at
most nine people, the workshop 14.

## What to wear

Coat, glasses with side shields and closed shoes everywhere. Nitrile gloves of at least 0.12 mm for
reagents; change them after 30 minutes of contact. Ear protection at the ultrasonic bath and the band
saw, where the noise reaches 88 dB(A). Long hair is tied back. No food, no drink, no telephones at the
wet benches.

## Chemicals

| Substance | Where kept | Largest quantity | If it touches the skin |
| sodium hypochlorite 12% | vented cabinet V1 | 10 litres | rinse 15 minutes |
| hydrochloric acid 10% | acid cabinet A2 | 5 litres | rinse 15 minutes |
| formazin standard 4000 NTU | fridge 2, red label | 2 litres | rinse 20 minutes, see the doctor |
| ammonium standard 1000 mg/l | fridge 1 | 3 litres | wash with soap |
| isopropanol | flammables cabinet F1 | 25 litres | wash with soap |

Never store hypochlorite next to acid: the two release chlorine gas. The gas alarm warns at 0.5 ppm
and sounds the evacuation at 1.0 ppm. Old standards go into the labelled 20-litre drums; Reedmoor
Waste collects them on the last Friday of every second month.

## Fume cupboards, showers, eyewash

Cupboards 1 and 2 are tested every 14 months, and the face velocity must be at least 0.45 m/s. Keep
the sash below the green mark, 35 cm. Eyewash stations are flushed for three minutes each Monday by
the first person in; sign the card. The emergency shower is tested on the first working day of the
month.

## Spills

Up to half a litre: use the kit with the blue lid, neutralise, bag, and write it in the log. More than
that, or any spill of formazin: leave, close the door, ring 4100, and keep others out. Kits hang at
the laboratory door, by bench 6 and in the workshop. Mercury thermometers were removed in 2019; if you
find one, do not touch it.

## Electricity, pressure, lifting

Work on opened mains equipment is done by two people, one of whom is Hollis Braithwaite or Tobias
Fell. The pressure rig for Curlew housings is run at 16 bar at most, with the polycarbonate screen
shut; its relief valve opens at 18 bar and is changed every five years. Lift no more than 23 kg alone.
The hoist carries 250 kg and is inspected every six months.

## Lithium batteries

Packs for Heron loggers are charged only in the steel cupboard, never unattended and never overnight.
A pack that is swollen, warm or dented is laid in the sand bucket in the yard, and Ansel is called. Do
not use water on it. More than 40 packs may not be in the workshop at the same time.

## Working alone

Nobody works alone with acids, hypochlorite, mains or the pressure rig. Other lone work is allowed from
07:00 to 20:00 if you wear the alarm pendant, which calls reception, and after 17:30 the security firm,
when it has not moved for 90 seconds.

## Reporting

Near misses are worth reporting: card or QR code at the door, name not needed. There were 63 reports in
2025 and two injuries with lost time. The safety walk is on the second Thursday of the month at 09:00,
and a different person from the offices is invited each time.
"""

PERFORMANCE = """
# Performance reviews 2026–27

How goals, feedback and pay fit together. People team, briefing for all staff, 14 April 2026.

## Why we review

- A review is a conversation about work, held twice a year; it should contain no surprises.
- In last year's survey 61% found it useful; our aim for this year is 75%.
- Owner of the process: Oluwaseun Bright. Help: Marisol Etchart, extension 4207.

## The calendar

| Step | Kendal and Halifax | Porto |
| Goals agreed | by 15 May 2026 | by 29 May 2026 |
| Half-year talk | 5 to 23 October 2026 | 19 October to 6 November 2026 |
| Self-assessment | by 19 February 2027 | by 26 February 2027 |
| Year-end review | 1 to 19 March 2027 | 8 to 24 March 2027 |
| Letters on pay | 7 May 2027 | 14 May 2027 |

## Goals

- Three to five goals, of which one must be about learning and one about working with another site.
- Assembly staff at Porto have two team goals in place of personal ones: first-pass yield and
punctual deliveries.
- Goals may be changed until 30 November if both sides sign.

## Feedback from colleagues

- You name four colleagues, your manager picks three of them, and one must come from another team.
- The form in PeoplePort has five questions and is open for 12 days.
- Comments reach you without names; managers see the names.
- Managers with four or more staff also get feedback from below, each autumn.

## The four ratings

| Rating | What it means | Usual share |
| Leading | clearly beyond the goals, and helps others to get there | about 15% |
| Strong | all goals reached | about 60% |
| Growing | some goals missed, or new in the job | about 20% |
| Off course | important goals missed despite support | about 5% |

The shares are experience and not a quota. Those with less than four months of service get no rating.

## Calibration

- Heads of department compare ratings in a meeting of two hours in the last week of March.
- No rating may be changed without an example that is written down.
- Part-time and parental leave: only the months worked count.

## From rating to pay

- Pay rises take effect on 1 June and are paid with the June salary.
- The budget for 2027 is set by the board in February; for 2026 it was 3.4%.
- Leading earns up to 1.6 times the average rise; Off course earns none.
- Bonuses of field sales follow their own plan.

## When things go badly

- Off course leads to a plan of ten weeks with a talk every fortnight.
- The plan names at most three points, the support given and the measure of success.
- It can be extended once by four weeks. A colleague or a member of the works council may attend.

## If you disagree

- Write to the People team within 12 working days of receiving the rating.
- A panel of two managers from other departments decides within 15 working days.
- Last year there were seven appeals, and three ratings were raised.

## Promotion

- Promotion rounds are in April and October; the form is due six weeks before.
- Technical staff can rise to grade 9 without managing people.
- At least 18 months in the present grade are expected, with exceptions for apprentices.
"""

RETENTION: list[tuple[str, str, str, str, str, str]] = [
    ("Record", "Class", "Keep for", "Counted from", "Owner", "Disposal"),
    ("Personnel file, Kendal", "Confidential", "7 years", "end of employment", "People team", "erase"),
    ("Personnel file, Porto", "Confidential", "5 years", "end of employment", "Inês Barroso", "erase"),
    ("Personnel file, Halifax", "Confidential", "4 years", "end of employment", "Joss MacEachern", "erase"),
    ("Application of a person not hired", "Confidential", "8 months", "letter of refusal", "People team", "erase"),
    ("Sick notes", "Confidential", "3 years", "end of fiscal year", "People team", "shred"),
    ("Accident book entry", "Confidential", "40 years", "date of accident", "Ansel Dockray", "archive only"),
    ("Payroll", "Confidential", "6 years", "end of tax year", "Renske Dalhuis", "erase"),
    ("Invoices and purchase orders", "Internal", "10 years", "end of fiscal year", "Finance", "shred"),
    ("Travel claims and receipts", "Internal", "6 years", "end of fiscal year", "Finance", "erase"),
    ("Tenders won", "Confidential", "12 years", "end of contract", "Nadia Brandt", "archive, then shred"),
    ("Tenders lost", "Confidential", "2 years", "date of decision", "Nadia Brandt", "erase"),
    ("Calibration certificate", "Internal", "15 years", "date of issue", "Kirsty Nolan", "archive only"),
    ("Raw calibration readings", "Internal", "11 years", "date of measurement", "Marguerite Lowe", "erase"),
    (
        "Batch record of an instrument",
        "Internal",
        "20 years",
        "end of production of the model",
        "Duarte Figueira",
        "archive only",
    ),
    ("Recordings of hotline calls", "Confidential", "90 days", "date of call", "Caitlin Roy", "automatic erasure"),
    ("Support e-mails", "Confidential", "5 years", "ticket closed", "Caitlin Roy", "erase"),
    ("Camera recordings, Kendal", "Confidential", "28 days", "recording", "Gwen Satterthwaite", "overwritten"),
    ("Camera recordings, Porto", "Confidential", "21 days", "recording", "Duarte Figueira", "overwritten"),
    ("Visitor list", "Internal", "6 months", "day of visit", "reception of each site", "shred"),
    ("Door and badge log", "Confidential", "100 days", "entry", "Pavel Hruska", "automatic erasure"),
    ("Security event log", "Confidential", "13 months", "event", "Pavel Hruska", "automatic erasure"),
    ("Minutes of the works council", "Internal", "9 years", "date of meeting", "chair of the council", "shred"),
    ("Board papers", "Restricted", "permanently", "date of meeting", "Moira Askew", "never"),
    ("Data protection request", "Confidential", "3 years", "reply sent", "Anneli Sorsa", "erase"),
    ("Trade fair contact without reply", "Internal", "6 months", "day of fair", "Marketing", "erase"),
]

HOLDS: list[tuple[str, str, str, str]] = [
    ("Hold number", "What may not be destroyed", "Since", "Ordered by"),
    ("LH-7", "batch records of C100 sensors built in 2018 and 2019", "2022-11-03", "Renske Dalhuis"),
    ("LH-9", "all e-mail with the carrier Brannigan Freight", "2024-06-17", "Renske Dalhuis"),
    ("LH-11", "raw readings behind the 26 withdrawn calibration certificates", "2025-12-01", "Fenella Marsh"),
    ("LH-12", "access logs of the Porto stores for February 2026", "2026-03-09", "Pavel Hruska"),
]

ALLOWANCES: list[tuple[str, str, str, str, str]] = [
    ("Allowance or benefit", "Kendal", "Porto", "Halifax", "Condition"),
    ("On call, weekday night", "£38", "£26", "£34", "16 hours from 17:00"),
    ("On call, weekend day", "£72", "£50", "£65", "24 hours from 08:00"),
    ("Call-out on site", "£55 plus hours", "£40 plus hours", "£48 plus hours", "once a night"),
    ("Shift premium, afternoon or late", "none", "18%", "9%", "hours after 18:00"),
    ("Shift premium, early", "none", "none", "£11 a shift", "start at 06:00"),
    ("First-aider allowance", "£14 a month", "£12 a month", "£15 a month", "valid certificate"),
    ("Fire warden allowance", "£8 a month", "£8 a month", "£9 a month", "two drills a year"),
    ("Employer's pension contribution", "8%", "5%", "6.5%", "employee pays at least 4%"),
    ("Life cover", "4 times salary", "2 times salary", "3 times salary", "from day one"),
    ("Private medical cover", "after 12 months", "from day one", "after 3 months", "partner for an extra charge"),
    ("Meal subsidy per working day", "£1.90", "£5.10", "£2.75", "not with a travel claim"),
    ("Long service, 10 years", "£1,000 and 5 days", "£1,000 and 5 days", "£1,000 and 5 days", "single award"),
    ("Long service, 15 years", "£1,750 and 8 days", "£1,750 and 8 days", "£1,750 and 8 days", "single award"),
    ("Childbirth gift", "£150", "£200", "£150", "per child"),
    ("Language bonus", "£350", "£350", "£350", "level B2"),
    ("Relocation within the group", "£3,500", "£2,800", "£4,200", "stay at least 24 months"),
    ("Gym or swimming pool", "£16 a month", "£13 a month", "gym in the building", "receipt each quarter"),
    ("Working clothes washed", "weekly", "twice a week", "not applicable", "class A staff"),
]

PAYDAYS: list[tuple[str, str, str, str]] = [
    ("Site", "Salary is paid on", "Overtime is paid", "Payroll contact"),
    ("Kendal", "the 26th", "with the following month", "Delyth Prosser, extension 4316"),
    ("Porto", "the last working day", "in the same month if entered by the 18th", "Tomé Salgado, extension 7112"),
    ("Halifax", "every second Thursday", "in the next pay period", "Joss MacEachern, extension 8124"),
]


@dataclass
class Block:
    """One piece of a document: title, heading, paragraph, bullet, step or table."""

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)


def parse(markup: str) -> list[Block]:
    """Turn the light markup into blocks; wrapped lines are joined."""
    blocks: list[Block] = []
    fresh = True
    for line in markup.strip().splitlines():
        line = line.strip()
        step = re.match(r"\d\. (?=\S)", line)
        if not line:
            fresh = True
            continue
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if fresh or blocks[-1].kind != "table":
                blocks.append(Block("table"))
            blocks[-1].rows.append(cells)
        elif line.startswith("#"):
            kind = "heading" if line.startswith("##") else "title"
            blocks.append(Block(kind, line.lstrip("# ")))
        elif line.startswith("- "):
            blocks.append(Block("bullet", line[2:]))
        elif step:
            blocks.append(Block("step", line[step.end() :]))
        elif fresh or blocks[-1].kind in ("table", "title", "heading"):
            blocks.append(Block("paragraph", line))
        else:
            blocks[-1].text += " " + line
        fresh = False
    return blocks


def freeze(path: Path) -> None:
    """Rewrite an Office file with fixed dates, so that its bytes do not change."""
    stamp = datetime(*ZIP_DATE).strftime("%Y-%m-%dT%H:%M:%SZ")
    with zipfile.ZipFile(path) as source:
        parts = [(name, source.read(name)) for name in source.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in parts:
            if name == "docProps/core.xml":
                text = data.decode("utf-8")
                data = re.sub(r"(?<=>)\d{4}-\d\d-\d\dT[\d:.]+Z(?=<)", stamp, text).encode("utf-8")
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, data)


def write_docx(path: Path, markup: str) -> None:
    """Write a Word document."""
    document = Document()
    styles = {"bullet": "List Bullet", "step": "List Number", "paragraph": "Normal"}
    for block in parse(markup):
        if block.kind == "title":
            document.add_heading(block.text, level=0)
            document.core_properties.title = block.text
        elif block.kind == "heading":
            document.add_heading(block.text, level=1)
        elif block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 1")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        else:
            document.add_paragraph(block.text, style=styles[block.kind])
    document.core_properties.author = AUTHOR
    document.core_properties.created = datetime(*ZIP_DATE)
    document.core_properties.modified = datetime(*ZIP_DATE)
    document.save(str(path))
    freeze(path)


def pdf_table(rows: list[list[str]], style: ParagraphStyle) -> Table:
    """A table as wide as the page, with a shaded head."""
    width = 166 * mm / len(rows[0])
    table = Table([[Paragraph(text, style) for text in row] for row in rows], [width] * len(rows[0]))
    table.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#d7e6ec")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def page_footer(canvas: Canvas, template: SimpleDocTemplate) -> None:
    """Print the company's name, the title and the page number below the text."""
    canvas.setFont("Helvetica", 8)
    canvas.drawString(22 * mm, 12 * mm, f"{AUTHOR} – {template.title}")
    canvas.drawRightString(188 * mm, 12 * mm, f"page {template.page}")


def write_pdf(path: Path, markup: str) -> None:
    """Write a PDF of one column, with a footer on each page."""
    sheet = getSampleStyleSheet()
    body = ParagraphStyle("body", parent=sheet["BodyText"], fontSize=10, leading=13.5)
    small = ParagraphStyle("small", parent=body, fontSize=8.5, leading=10.5)
    styles = {"title": sheet["Title"], "heading": sheet["Heading2"], "paragraph": body}
    blocks = parse(markup)
    story: list[Flowable] = []
    for block in blocks:
        if block.kind == "table":
            story += [pdf_table(block.rows, small), Spacer(1, 4 * mm)]
        elif block.kind in ("bullet", "step"):
            story.append(Paragraph(block.text, body, bulletText="•"))
        else:
            story.append(Paragraph(block.text, styles[block.kind]))
    template = SimpleDocTemplate(
        str(path), pagesize=A4, title=blocks[0].text, author=AUTHOR, invariant=1,
        leftMargin=22 * mm, rightMargin=22 * mm, topMargin=20 * mm, bottomMargin=22 * mm,
    )  # fmt: skip
    template.build(story, onFirstPage=page_footer, onLaterPages=page_footer)


def slides_of(markup: str) -> list[list[Block]]:
    """Group the blocks by slide: the title first, then one slide a heading."""
    slides: list[list[Block]] = []
    for block in parse(markup):
        if block.kind in ("title", "heading"):
            slides.append([])
        slides[-1].append(block)
    return slides


def write_pptx(path: Path, markup: str) -> None:
    """Write a slide deck."""
    deck = Presentation()
    for number, (head, *rest) in enumerate(slides_of(markup)):
        tables = [block for block in rest if block.kind == "table"]
        layout = 0 if number == 0 else (5 if tables else 1)
        slide = deck.slides.add_slide(deck.slide_layouts[layout])
        slide.shapes.title.text = head.text
        texts = [block.text for block in rest if block.kind != "table"]
        if not tables:
            frame = slide.placeholders[1].text_frame
            frame.text = texts[0]
            for text in texts[1:]:
                frame.add_paragraph().text = text
            continue
        rows = tables[0].rows
        shape = slide.shapes.add_table(len(rows), len(rows[0]), Inches(0.6), Inches(1.6), Inches(8.8), Inches(3.4))
        for i, row in enumerate(rows):
            for j, text in enumerate(row):
                shape.table.cell(i, j).text = text
                shape.table.cell(i, j).text_frame.paragraphs[0].font.size = Pt(14)
        if texts:
            box = slide.shapes.add_textbox(Inches(0.6), Inches(6.2), Inches(8.8), Inches(0.8))
            box.text_frame.word_wrap = True
            box.text_frame.text = " ".join(texts)
    deck.core_properties.title = slides_of(markup)[0][0].text
    deck.core_properties.author = AUTHOR
    deck.core_properties.created = datetime(*ZIP_DATE)
    deck.core_properties.modified = datetime(*ZIP_DATE)
    deck.save(str(path))
    freeze(path)


def write_xlsx(path: Path, title: str, sheets: dict[str, list[tuple[str, ...]]]) -> None:
    """Write a workbook: one sheet a table, its first row the head."""
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for cell in sheet[1]:
            cell.font = Font(bold=True)
            cell.fill = PatternFill("solid", fgColor="D7E6EC")
        for column in sheet.columns:
            longest = max(len(str(cell.value)) for cell in column)
            sheet.column_dimensions[column[0].column_letter].width = min(longest + 2, 48)
            for cell in column:
                cell.alignment = Alignment(wrap_text=True, vertical="top")
        sheet.freeze_panes = "B2"
    book.properties.title = title
    book.properties.creator = AUTHOR
    book.properties.created = datetime(*ZIP_DATE)
    book.save(path)
    freeze(path)


def main() -> None:
    """Write all documents below TARGET."""
    for folder in ("policies", "people", "safety", "works-council"):
        (TARGET / folder).mkdir(parents=True, exist_ok=True)
    write_docx(TARGET / "policies/information-security.docx", INFORMATION_SECURITY)
    write_docx(TARGET / "policies/speaking-up.docx", SPEAKING_UP)
    write_docx(TARGET / "policies/procurement.docx", PROCUREMENT)
    write_docx(TARGET / "people/training-budget.docx", TRAINING)
    write_docx(TARGET / "works-council/minutes-2026-09-17.docx", MINUTES)
    write_pdf(TARGET / "policies/code-of-conduct.pdf", CODE_OF_CONDUCT)
    write_pdf(TARGET / "policies/sickness-absence.pdf", SICKNESS)
    write_pdf(TARGET / "safety/kendal-laboratory-safety.pdf", LAB_SAFETY)
    write_pptx(TARGET / "people/performance-reviews-2026-27.pptx", PERFORMANCE)
    write_xlsx(
        TARGET / "policies/data-retention-schedule.xlsx",
        "Data retention schedule, version of 1 April 2026",
        {"Schedule": RETENTION, "Legal holds": HOLDS},
    )
    write_xlsx(
        TARGET / "people/allowances-and-benefits-2026.xlsx",
        "Allowances and benefits 2026–27",
        {"Allowances": ALLOWANCES, "Paydays": PAYDAYS},
    )


if __name__ == "__main__":
    main()
