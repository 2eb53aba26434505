"""Write the binary documents (DOCX, PDF, PPTX, XLSX) of the sample area `products`.

The prose below is the content; the functions at the end only lay it out. Dates and metadata are fixed, so that a
second run gives the same files. Run from the repository root: .venv/bin/python data/sample/make_products.py
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from docx import Document
from openpyxl import Workbook
from openpyxl.styles import Font
from pptx import Presentation
from pptx.util import Inches, Pt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

OUT = Path(__file__).parent / "documents" / "products"
STAMP = dt.datetime(2026, 9, 1, 9, 0, 0)
AUTHOR = "Tarnwick Instruments Ltd"

Row = list[str]
Block = tuple[str, str | list[Row]]

M3_MANUAL: list[Block] = [
    ("title", "Merle M3 user manual"),
    ("p", "Document TM-0331, revision 4, June 2026. For firmware 3.5 and later."),
    ("h", "1. About this manual"),
    (
        "p",
        "The M3 measures pH, redox (ORP), dissolved oxygen, conductivity and temperature with a single probe. The card "
        "in the box gets you to the first reading; this manual is for everything that comes after it. A printed copy "
        "can be ordered from the Halifax office, which sends it free of charge within Europe and North America.",
    ),
    (
        "p",
        "Where the text says probe, it means the whole grey cylinder with its three sensing elements. Where it says "
        "electrode, it means only the glass element that screws into the probe from below and can be changed.",
    ),
    ("h", "2. Safety"),
    (
        "p",
        "The M3 is not approved for explosive atmospheres. Do not use it in digesters, in covered wet wells or in fuel "
        "stores. Do not open the battery compartment: the seal is pressed in at the plant and cannot be closed again in "
        "the field. If the housing is cracked and the battery swells, put the meter outdoors and ring the support office.",
    ),
    (
        "p",
        "Take care on slippery banks. Two people should work together where the water is deeper than 1.2 m or the "
        "current is strong enough to lean on. The lanyard holds 12 kg and parts at 15 kg, so that the meter cannot pull "
        "anyone in.",
    ),
    ("h", "3. Keys and display"),
    (
        "p",
        "There are four keys. The round key confirms and saves. The arrow keys move through lists. The power key "
        "switches on and off; a short press while the meter is on toggles the backlight. To take a picture of the "
        "display for a report, press both arrow keys at once: the picture is stored next to the reading.",
    ),
    (
        "table",
        [
            ["Symbol", "Meaning", "What you should do"],
            ["Blinking drop", "Reading not yet stable", "Wait, and stir gently"],
            ["Yellow triangle", "Calibration older than its limit", "Calibrate soon; readings are marked"],
            ["Red triangle", "Sensing element faulty", "Look up the E code on the status page"],
            ["Padlock", "GLP mode is on", "Enter the four-digit PIN"],
            ["Cloud with a bar", "More than 500 readings wait for transfer", "Bring the phone near"],
        ],
    ),
    ("h", "4. Measuring"),
    (
        "p",
        "Stability is judged over a moving window. With the setting Normal a reading counts as stable when it has moved "
        "by less than 0.02 pH, 0.05 mg/l or 1 % of conductivity within 10 seconds. The setting Strict doubles the window "
        "to 20 seconds and halves the limits; it is meant for laboratories. In fast streams choose Quick, which asks for "
        "5 seconds only, and take the mean of three.",
    ),
    (
        "p",
        "Redox values are shown against the silver-chloride reference of the electrode. To get values against the "
        "hydrogen electrode choose Eh in the menu; the meter then adds 207 mV at 25 °C and corrects for temperature. "
        "Redox takes its time: in clean lake water ten minutes are not unusual, and a value read after one minute says "
        "little.",
    ),
    (
        "p",
        "For oxygen no stirring is required, since the optical cap does not consume any. It must, however, not be in "
        "direct sunlight while you calibrate. For conductivity the two slots in the guard must be under water and free "
        "of air; a quick turn of the wrist lets the bubbles out.",
    ),
    ("h", "5. Cables and depth"),
    (
        "p",
        "The probe cable comes in lengths of 2, 5, 10 and 20 m and is marked every metre with a white ring and every "
        "five metres with a red one. The probe itself stands 30 m of water for an hour. The plug at the meter is only "
        "splash-proof when connected and must never lie in the water. After changing a cable choose Settings, Cable, and "
        "type in its length, because the conductivity of long leads is subtracted.",
    ),
    ("h", "6. Logging unattended"),
    (
        "p",
        "The M3 can be left to record by itself with an interval between 30 seconds and 4 hours. Choose Log, New, give "
        "the run a name of up to sixteen letters, and hang the probe so that it cannot touch the ground. With ten-minute "
        "intervals and the radio off, a full charge lasts for nine days. The run ends when the battery falls to 8 %, so "
        "that the memory can still be read.",
    ),
    (
        "p",
        "Do not leave the meter itself in the sun: above 50 °C inside the housing the run is paused and is taken up "
        "again at 45 °C. The gap is marked in the file.",
    ),
    ("h", "7. GLP mode"),
    (
        "p",
        "In GLP mode every reading carries the name of the person, the lot of the last buffers and the age of the "
        "calibration. Readings cannot be deleted on the meter. Only the administrator, who holds the eight-digit master "
        "number supplied in the sealed envelope, can end the mode. If the envelope has been lost, Kendal will issue a new "
        "number against a signed letter from the owner; this takes three working days and costs nothing.",
    ),
    ("h", "8. Getting the data out"),
    (
        "p",
        "The app fetches new readings whenever the phone is within about eight metres. Without a phone, connect the "
        "cradle to a computer: the meter appears as a drive called MERLE3 with one folder for each month. Files are CSV "
        "with a semicolon and, if you wish, PDF. Do not rename the folders while the meter is connected.",
    ),
    (
        "p",
        "Readings stay in the memory after the transfer until they are 400 days old or until the memory is full, "
        "whichever comes first. The oldest go first.",
    ),
    ("h", "9. Battery"),
    (
        "p",
        "The battery should be kept between 20 and 80 % if the meter lies unused for more than a month. Its capacity "
        "falls to 80 % after about 600 charges. A new battery is fitted in Kendal or Halifax, with a new seal and a "
        "pressure test at 0.8 bar; the meter comes back within eight working days. In frost below –10 °C the display "
        "becomes slow, which is harmless.",
    ),
    ("h", "10. Cleaning"),
    (
        "p",
        "Rinse with tap water after each site to carry no organisms from one river to the next. Against crayfish plague "
        "and other stowaways dip the probe, without its electrode cap, for 15 minutes in a 1 % solution of the "
        "disinfectant that your agency prescribes, and let it dry. Never use alcohol or acetone on the black oxygen "
        "window. Grease and biofilm come off with a soft toothbrush and washing-up liquid. The conductivity slots are "
        "cleaned with the bottle brush from the case.",
    ),
    ("h", "11. When something goes wrong"),
    (
        "p",
        "A meter that does not answer is restarted by holding power and round key together for 10 seconds; nothing is "
        "lost. A reset to delivery settings (Settings, Service, Reset) asks twice, because it erases readings, pairing "
        "and calibrations; only the counter of operating hours is kept. If the probe is not found, change the cable "
        "first: three of four such cases are broken leads close to the plug.",
    ),
    (
        "p",
        "Send a meter in only after the support office has given you a return number, and never with the electrode "
        "fitted. Put the dry electrode cap in the same bag so that it is not forgotten.",
    ),
    ("h", "12. At the end of its life"),
    (
        "p",
        "We take every worn-out Merle back without charge, whoever sold it, and send a certificate of recycling. The "
        "lithium battery is recovered by a company in Braga; the rest of the meter is 71 % recyclable by weight.",
    ),
]

C200_MANUAL: list[Block] = [
    ("title", "Curlew C200 free-chlorine sensor: operating manual"),
    ("p", "Document TM-0405, revision 2, May 2026. Instructions for verification are in procedure CP-22."),
    ("h", "What it does"),
    (
        "p",
        "The C200 is a membrane-covered amperometric cell with two electrodes, a gold cathode and a silver anode. It sits "
        "in the flow cell FC-2 and draws its sample from a bypass. Chlorine that passes the membrane makes a current "
        "which is proportional to its concentration, as long as the flow is even and the membrane is clean.",
    ),
    ("h", "Fitting the flow cell"),
    (
        "p",
        "Mount the flow cell upright on the wall with the inlet below. The sample line should be shorter than 5 m and "
        "opaque, since daylight destroys chlorine in clear hose. Use 6 mm tubing of polyethylene; rubber and copper are "
        "not allowed because they eat chlorine. Set the needle valve so that the float stands between the two red marks. "
        "The pressure at the inlet may not exceed 3 bar, and the outlet must run off freely into a tundish.",
    ),
    ("h", "Fitting a membrane cap"),
    ("li", "Close the inlet and take the sensor out of the cell."),
    ("li", "Unscrew the old cap and shake out the old gel over a basin."),
    ("li", "Draw the blue abrasive strip twice, not more, across the gold tip. The silver is never polished."),
    ("li", "Fill the new cap to the brim with gel, hold it upright, and screw the sensor in slowly from above."),
    ("li", "Wipe off the surplus, wait for ten minutes, and check that no bubble is visible."),
    (
        "p",
        "Change the membrane cap every six months, or every three months if the water carries iron or manganese. The gel "
        "is renewed at the same time and, on its own, whenever the sensor has been without power for more than 24 hours.",
    ),
    ("h", "Polarisation"),
    (
        "p",
        "After power has been away the sensor must polarise. The logger shows the letter P during this time and sends no "
        "alarms. After an interruption of less than ten minutes the P goes out after 15 minutes; after a longer one it "
        "stays for two hours.",
    ),
    ("h", "What disturbs it"),
    (
        "table",
        [
            ["Substance", "Effect on reading", "Remark"],
            ["Chlorine dioxide", "much too high (factor 9)", "use another sensor"],
            ["Monochloramine", "about 5 % of its value is added", "matters after ammonia dosing"],
            ["Ozone", "too high (factor 0.6 to 1)", "ozone must be destroyed upstream"],
            ["Surfactants", "slow and too low", "membrane is wetted; change the cap"],
            ["Iron above 0.3 mg/l", "slowly sinking", "fit a 50 micrometre filter"],
        ],
    ),
    ("h", "Routine"),
    (
        "p",
        "Look at the float each week. Clean the strainer in the inlet once a month with a brush and vinegar; ten minutes "
        "are enough. Every two years the body goes to Porto or Kendal for an overhaul, in which the O-rings and the "
        "cathode are renewed. The fee covers a loan sensor for up to four weeks.",
    ),
    ("h", "Taking it out of service"),
    (
        "p",
        "If the works stands still for more than five days, take out the sensor, empty the cap, rinse the electrodes with "
        "distilled water and store them dry with the cap screwed on loosely. A sensor that is left in stagnant water grows "
        "a biofilm that no cleaning will remove. The works at Skelgill learnt this in 2024 and had to buy three caps.",
    ),
    ("h", "Spares on the shelf"),
    (
        "p",
        "Keep one twin pack of caps and one bottle of gel on the shelf for each four sensors. Write the date on the bottle "
        "when you open it: after six months the gel has taken up carbon dioxide and must not be used any more.",
    ),
]

C100_MANUAL: list[Block] = [
    ("title", "Curlew C100 turbidity sensor: operating manual"),
    ("p", "Document TM-0401, revision 6, February 2026. Calibration is described in procedure CP-21."),
    ("h", "Principle"),
    (
        "p",
        "The C100 sends infrared light of 860 nm into the water and measures what is scattered at 90 degrees. A second "
        "receiver at 135 degrees takes over above 400 NTU, where the first begins to go blind. The change-over is smooth "
        "and cannot be seen in the data.",
    ),
    ("h", "Mounting"),
    (
        "p",
        "In open channels the sensor hangs on the swing bracket SB-1 with the windows facing downstream. Keep 10 cm from "
        "the wall and 25 cm from the bed, or the sensor sees the concrete. In pipes of 100 mm and wider use the retractable "
        "fitting RF-4 at three or nine o'clock; at the top of the pipe it would sit in air, at the bottom in sand. The "
        "sensor withstands 6 bar, the retractable fitting 4 bar. Never hang the sensor by its cable.",
    ),
    ("h", "The wiper"),
    (
        "p",
        "The wiper runs every 30 minutes unless you set another interval between 5 minutes and 24 hours. One run takes 11 "
        "seconds, and during it the last good value is repeated. In summer, with algae, ten minutes are usual; in winter "
        "once in six hours saves the rubber. Replace the blade after 20,000 runs or once a year. The counter is in Curlew "
        "Tool under Service and must be reset by hand after the change.",
    ),
    (
        "p",
        "Do not turn the arm with your fingers: the gear breaks. Use the button Step in the tool, which moves it by 15 "
        "degrees.",
    ),
    ("h", "Settings at the sensor"),
    (
        "p",
        "Smoothing is a moving median of 1 to 99 values; the factory setting is 9. Unit may be NTU, FNU or, with a factor "
        "found by you, mg/l of suspended solids. The alarm relay that older C100 had (serial numbers below 7000) was "
        "dropped in 2021.",
    ),
    ("h", "Modbus registers most often needed"),
    (
        "table",
        [
            ["Register", "Content", "Type", "Unit"],
            ["30", "Turbidity, smoothed", "float", "as set"],
            ["32", "Turbidity, raw", "float", "NTU"],
            ["34", "Water temperature", "float", "°C"],
            ["36", "Lamp current", "integer", "% of nominal"],
            ["38", "Wiper runs", "long", "count"],
            ["40", "Fault bits", "integer", "see error list"],
            ["44", "Wiper interval", "integer", "minutes (write allowed)"],
        ],
    ),
    (
        "p",
        "The baud rate is 9,600 with even parity. Three wrong requests in a row make the sensor silent for five seconds, "
        "which some controllers mistake for a fault.",
    ),
    ("h", "Care"),
    (
        "p",
        "Every four weeks lift the sensor, rinse it, and look at the windows against the light. Lime is removed with "
        "citric acid (5 %, ten minutes). Scratches deeper than a hair are a case for the service centre. Barnacles at "
        "coastal sites are kept off with the copper ring CR-1, which lasts for about 14 months.",
    ),
    ("h", "Frost"),
    (
        "p",
        "The sensor may freeze in but must not be torn out of the ice. Let it thaw. Ice between wiper and window has "
        "broken more arms than anything else, so set the wiper to Hold when the water falls below 1 °C; the firmware does "
        "not do this for you.",
    ),
]

MERLE_SPEC: list[Block] = [
    ("title", "Merle handheld meters: M2 and M3 compared"),
    ("p", "Specification sheet SP-SHEET-03, August 2026. The M2 is no longer sold; values are given for its owners."),
    ("h", "Measuring ranges"),
    (
        "table",
        [
            ["Parameter", "Merle M2", "Merle M3"],
            ["pH range", "2.00 to 12.00", "0.00 to 14.00"],
            ["pH accuracy", "±0.05", "±0.02"],
            ["Oxygen range", "0 to 20 mg/l", "0 to 50 mg/l"],
            ["Oxygen accuracy", "±0.4 mg/l", "±0.1 mg/l up to 20 mg/l"],
            ["Conductivity range", "0.01 to 20 mS/cm", "0.001 to 200 mS/cm"],
            ["Conductivity accuracy", "±2 %", "±0.5 %"],
            ["Temperature range", "0 to 50 °C", "–5 to 70 °C"],
            ["Temperature accuracy", "±0.5 °C", "±0.1 °C"],
            ["Redox (ORP)", "not available", "±1,200 mV"],
            ["Depth sensor", "not available", "option D, 0 to 30 m"],
        ],
    ),
    (
        "p",
        "Accuracy is stated for an instrument calibrated the same day, at 20 °C, without the resolution of the display. "
        "The depth option must be ordered with the probe and cannot be added later.",
    ),
    ("h", "Housing and power"),
    (
        "table",
        [
            ["Property", "Merle M2", "Merle M3"],
            ["Protection", "IP65", "IP67, floats"],
            ["Weight with probe, 2 m cable", "940 g", "685 g"],
            ["Display", "monochrome, 2.4 inch", "colour, 3.2 inch"],
            ["Power", "four AA cells", "lithium-ion, 3,400 mAh"],
            ["Running time", "60 hours (alkaline)", "38 hours, backlight off"],
            ["Memory", "2,000 readings", "12,000 readings"],
            ["Interface", "mini-USB", "USB-C and Bluetooth 5.1"],
            ["Operating temperature", "0 to 45 °C", "–15 to 50 °C"],
            ["Drop test", "1.0 m on wood", "1.5 m on concrete"],
        ],
    ),
    (
        "p",
        "The running time of the M3 falls to about 26 hours with the backlight at half brightness and to 19 hours with "
        "continuous transfer by radio.",
    ),
    ("h", "Approvals"),
    (
        "p",
        "Both meters carry the CE and UKCA marks. The M3 has in addition an MCERTS certificate for portable water "
        "monitoring, valid until 30 April 2029. The radio module of the M3 is approved in 41 countries; approval for "
        "Brazil is under way and is expected in spring 2027. The M2 never had an MCERTS certificate and should not be used "
        "for regulated sampling in England.",
    ),
    ("h", "Response times"),
    (
        "p",
        "Time to 95 % of the final value at 20 °C: pH 8 seconds on both meters; oxygen 40 seconds on the M3 and 65 seconds "
        "on the M2; temperature 15 seconds on the M3 and 50 seconds on the M2, whose sensor sits behind plastic.",
    ),
]

CURLEW_SPEC: list[Block] = [
    ("title", "Curlew inline sensors: data sheet C100 and C200"),
    ("p", "Data sheet DS-40, edition 5, July 2026. Subject to change without notice."),
    ("h", "C100 turbidity"),
    (
        "p",
        "The C100 is made for raw water, rivers and the outlet of clarifiers. It follows ISO 7027 and measures from 0 to "
        "1,000 NTU. Its detection limit is 0.05 NTU, which is good enough for filtered water but not for proving that a "
        "membrane plant is intact; for that purpose please ask for a laser instrument from another maker.",
    ),
    (
        "table",
        [
            ["C100", "Value"],
            ["Range", "0 to 1,000 NTU"],
            ["Accuracy", "2 % or 0.1 NTU"],
            ["Repeatability", "0.5 %"],
            ["Supply", "12 to 24 V DC"],
            ["Power, wiper at rest", "0.9 W"],
            ["Power, wiper moving", "2.4 W"],
            ["Body", "titanium, sapphire windows"],
            ["Length x diameter", "212 x 40 mm"],
            ["Weight", "620 g"],
            ["Pressure", "6 bar"],
            ["Water temperature", "–2 to 50 °C"],
        ],
    ),
    (
        "p",
        "A brass version was sold until 2019 and must not be used in sea water. The titanium body is suited to sea water, "
        "brackish water and water with up to 5 mg/l of free chlorine.",
    ),
    (
        "p",
        "Warm-up takes 20 seconds. With one reading every 15 minutes and the wiper every second hour, a C100 uses about "
        "1.1 Ah from a 12 V battery in a month, so that a Heron logger with its standard pack can feed one sensor through "
        "a winter season.",
    ),
    ("h", "C200 free chlorine"),
    (
        "p",
        "The C200 is made for drinking water after disinfection, for service reservoirs and for network points with a "
        "bypass. It measures free chlorine up to 5 mg/l. A version with the suffix H reaches 20 mg/l and is meant for the "
        "disinfection of new mains; its resolution is coarser by a factor of four.",
    ),
    (
        "table",
        [
            ["C200", "Value"],
            ["Range", "0.02 to 5 mg/l"],
            ["Accuracy", "3 % or 0.03 mg/l"],
            ["Response to 90 %", "under 120 seconds"],
            ["Supply", "18 to 24 V DC"],
            ["Power", "1.3 W"],
            ["Flow through cell", "30 to 45 l/h"],
            ["pH of the water", "5.5 to 8.5"],
            ["Conductivity", "over 50 µS/cm"],
            ["Body", "PVC-U, FKM seals"],
            ["Weight with flow cell", "1,480 g"],
            ["Water temperature", "2 to 40 °C"],
        ],
    ),
    (
        "p",
        "Below 50 µS/cm, as in some upland supplies, the cell becomes noisy; the mineral cartridge MC-5 upstream helps and "
        "lasts for about 4,000 litres. The sensor must not run dry for more than 30 minutes.",
    ),
    (
        "p",
        "Each C200 is delivered with one cap fitted and one cap spare, a bottle of gel, an abrasive strip and a test "
        "record signed in Porto. The flow cell is ordered on its own, as many works have one already.",
    ),
    ("h", "Common to both"),
    (
        "p",
        "Output is by RS-485 with Modbus RTU. The C100 has a 4-20 mA output and SDI-12 as well. Both sensors keep the last "
        "ten calibrations in their own memory, with date and name. Protection is IP68 for the C100 (20 m, permanently) and "
        "IP66 for the C200, whose head is not meant for immersion.",
    ),
    (
        "p",
        "Surge immunity is 2 kV between line and earth for the C100 and 1 kV for the C200. Both are made in Porto.",
    ),
    ("h", "Ordering"),
    (
        "p",
        "C100-10 is the sensor with 10 m of cable, C100-30 and C100-60 those with longer cables. C200-S is the standard "
        "sensor and C200-H the one for high concentrations. Add the letter W for the works certificate with five points, "
        "which adds three days to the delivery. Material certificates 3.1 are on request, but only before production "
        "starts.",
    ),
    ("h", "Drinking-water approvals"),
    (
        "p",
        "The wetted parts of the C200 are approved under Regulation 31 in England and Wales and under KIWA in the "
        "Netherlands. The C100 holds the Regulation 31 approval only in its titanium version with FKM seals (suffix F). "
        "Neither sensor has the American NSF 61 listing.",
    ),
    ("h", "Accessories"),
    (
        "p",
        "The display unit DU-1 shows one C100 or C200 on site and gives two relay contacts of 3 A. It takes its supply from "
        "the mains and feeds the sensor. One unit serves one sensor; there is no version for two. The sun roof SR-2 is "
        "advised south of 45 degrees latitude.",
    ),
]

HERON_SPEC: list[Block] = [
    ("title", "Heron loggers H5 and H7: specification"),
    ("p", "Specification sheet SP-SHEET-07, September 2026."),
    ("h", "Radio"),
    (
        "table",
        [
            ["Property", "Heron H5", "Heron H7"],
            ["Network", "LTE-M and NB-IoT, 2G fallback", "L-band satellite"],
            ["Bands", "3, 8, 20, 28", "1,616 to 1,626.5 MHz"],
            ["SIM", "eSIM, second slot for own SIM", "none, built-in terminal"],
            ["Largest message", "16 kB", "340 bytes"],
            ["Typical delay to the cloud", "under 10 seconds", "1 to 4 minutes"],
            ["Position", "from network, about 500 m", "GNSS, about 5 m"],
        ],
    ),
    ("h", "Power"),
    (
        "table",
        [
            ["Property", "Heron H5", "Heron H7"],
            ["Battery", "lithium primary, 19 Ah, 3.6 V", "LiFePO4, 12 Ah, 12.8 V"],
            ["Life without sensors", "7 years at one upload a day", "solar; pack lasts about 8 years"],
            ["Life with one C100", "14 months", "solar"],
            ["External supply", "10 to 30 V DC", "solar panel only"],
            ["Sleep current", "28 µA", "190 µA"],
            ["Sensor supply", "12 V, 250 mA, switched", "12 V, 400 mA, switched"],
        ],
    ),
    ("h", "Housing"),
    (
        "table",
        [
            ["Property", "Heron H5", "Heron H7"],
            ["Material", "polycarbonate, UV-stable", "cast aluminium, powder-coated"],
            ["Protection", "IP68 (1 m, 72 hours)", "IP67"],
            ["Size", "182 x 138 x 74 mm", "260 x 210 x 110 mm"],
            ["Weight", "0.9 kg", "4.2 kg without panel"],
            ["Temperature, working", "–30 to 60 °C", "–35 to 55 °C"],
            ["Glands", "three M16", "four M20"],
        ],
    ),
    (
        "p",
        "The battery life of the H5 is stated at 10 °C and a signal of –95 dBm. At –108 dBm the radio needs up to four "
        "times the energy, and the seven years shrink to about three. In places with a weak signal prefer the external "
        "supply or fewer uploads.",
    ),
    ("h", "Memory and clock"),
    (
        "p",
        "The H5 keeps 60,000 records when the network is away, the H7 keeps 200,000. The clock of the H5 is set by the "
        "network and drifts by up to 4 seconds a day without it; the clock of the H7 is set by GNSS every Monday. Neither "
        "logger changes to summer time: they record in UTC throughout.",
    ),
    ("h", "Countries"),
    (
        "p",
        "The eSIM of the H5 works in 38 European countries and in Canada. For use in the United States, Iceland or New "
        "Zealand a SIM of your own is needed in the second slot. The H7 works everywhere except in countries that forbid "
        "satellite terminals; the shipping office holds the list. A licence fee for the terminal is due in India.",
    ),
    ("h", "In the carton"),
    (
        "p",
        "H5: logger, stub antenna, magnet pen, two steel bands, three blue plugs, drilling template. H7: logger, patch "
        "antenna, solar panel with bracket, magnet pen, service cable, four plugs. Screws for walls are not included with "
        "either.",
    ),
]

SDS_205: list[Block] = [
    ("title", "Safety data sheet: RK-205 free chlorine DPD reagent kit"),
    (
        "p",
        "Version 4, 17 March 2026. Replaces version 3 of 2 May 2023. Supplier: Tarnwick Instruments Ltd, Mill Yard 4, Kendal.",
    ),
    ("h", "1. Identification"),
    (
        "p",
        "Powder in foil sachets for measuring free chlorine in water by the DPD method. One kit holds 100 sachets of 0.12 "
        "g. For professional use only; not for sale to private pool owners.",
    ),
    ("h", "2. Hazards"),
    (
        "p",
        "Skin irritant, category 2 (H315). Eye irritant, category 2 (H319). Harmful if swallowed, category 4 (H302). Signal "
        "word: Warning. The pictogram is the exclamation mark.",
    ),
    ("h", "3. Composition"),
    (
        "table",
        [
            ["Substance", "Share by weight", "CAS number"],
            ["Sodium phosphate, dibasic", "55 to 65 %", "7558-79-4"],
            ["Potassium phosphate, monobasic", "20 to 30 %", "7778-77-0"],
            ["DPD sulphate salt", "1 to 5 %", "6283-63-2"],
            ["Disodium EDTA", "below 3 %", "6381-92-6"],
        ],
    ),
    ("h", "4. First aid"),
    (
        "p",
        "Eyes: rinse under running water for fifteen minutes and call an eye doctor. Skin: take off splashed clothing, wash "
        "with soap and water. Swallowed: rinse the mouth, give water in small sips, do not make the person vomit, and ring "
        "the poisons service with this sheet in hand. Breathed in: fresh air and rest.",
    ),
    ("h", "5. Fire"),
    (
        "p",
        "The powder itself burns poorly. In a fire oxides of nitrogen and sulphur may arise. Use water spray, foam or "
        "carbon dioxide; firefighters need breathing apparatus.",
    ),
    ("h", "6. Spills"),
    (
        "p",
        "Do not blow the powder away. Cover it with a damp cloth, gather it up, and wash the place with water. Stains on "
        "work surfaces turn pink as soon as chlorinated water touches them; they are removed with a little vitamin C.",
    ),
    ("h", "7. Handling and storage"),
    (
        "p",
        "Tear the sachet away from the face. Store between 4 and 25 °C in the closed carton, away from oxidising agents "
        "such as hypochlorite. A sachet whose powder has turned grey or lumpy must be discarded. Do not carry loose sachets "
        "in trouser pockets.",
    ),
    ("h", "8. Protection"),
    (
        "p",
        "Safety glasses for every test; nitrile gloves if more than ten sachets are opened in a day. A dust mask is not "
        "required.",
    ),
    ("h", "9. Disposal"),
    (
        "p",
        "Up to 50 used samples of 10 ml a day may go into the foul drain of a works. In the field collect them in the brown "
        "bottle that comes with the kit and bring them back: they must not be poured into streams or on grass. Expired "
        "sachets are hazardous waste under code 16 05 06.",
    ),
    ("h", "10. Transport"),
    (
        "p",
        "By road the carton travels as a limited quantity. Technicians who fly must not take sachets in hand luggage.",
    ),
    ("h", "11. Author"),
    ("p", "Bethan Lowther, product safety, Kendal. Training: users are instructed once a year by their own employer."),
]

INTERVALS: list[Row] = [
    ["Instrument", "Job", "Regular interval", "Harsh water", "Time needed", "Who may do it"],
    ["Merle M2", "Conductivity, one point", "30 days", "14 days", "10 min", "user"],
    ["Merle M2", "Thermometer comparison", "12 months", "12 months", "20 min", "user"],
    ["Merle M2", "Factory inspection", "24 months", "24 months", "2 working days", "Kendal"],
    ["Merle M3", "Conductivity, one point", "60 days", "30 days", "8 min", "user"],
    ["Merle M3", "ORP check", "90 days", "45 days", "12 min", "user"],
    ["Merle M3", "Thermometer comparison", "18 months", "18 months", "15 min", "user"],
    ["Merle M3", "Factory inspection", "36 months", "24 months", "3 working days", "Kendal or Halifax"],
    ["Curlew C100", "Check with 20 NTU", "3 months", "1 month", "10 min", "user"],
    ["Curlew C100", "Full calibration", "24 months", "12 months", "50 min", "trained user"],
    ["Curlew C100", "Factory overhaul", "5 years", "3 years", "5 working days", "Porto"],
    ["Curlew C200", "DPD verification", "7 days", "3 days", "15 min", "user"],
    ["Curlew C200", "Slope calibration", "28 days", "14 days", "25 min", "trained user"],
    ["Heron H5", "Input accuracy test", "36 months", "36 months", "30 min", "partner"],
    ["Heron H7", "Input accuracy test", "24 months", "24 months", "40 min", "partner"],
]

INTERVAL_NOTES: list[Row] = [
    ["Note", "Text"],
    ["Harsh water", "Sewage, sea water, iron above 0.3 mg/l, or more than 200 mg/l of suspended solids"],
    ["Grace", "A job counts as overdue in Tern Cloud when 10 % of its interval has passed beyond the due date"],
    ["Trained user", "Someone who has passed course TR-2 (one day); the certificate is valid for four years"],
    ["MCERTS sites", "Halve every regular interval that is longer than 30 days"],
    ["Responsible", "Filipa Moutinho, metrology, Porto; table reviewed each March"],
]

COMPAT: list[Row] = [
    ["Sensor", "Heron H5", "Heron H7", "Display unit DU-1", "Remark"],
    ["C100, serial 7000 and above", "yes, up to 6", "yes, up to 2", "yes", "H5 needs firmware 2.2"],
    ["C100, serial below 7000", "yes, up to 2", "no", "no", "4-20 mA only through converter CV-4"],
    ["C200-S", "yes, up to 3", "mains supply only", "yes", "step-up module SU-24 on the H5"],
    ["C200-H", "yes, up to 1", "no", "yes", "needs external supply at the H5"],
    ["Level probe LP-2", "yes, up to 1", "yes, up to 1", "no", "SDI-12"],
    ["Rain gauge RG-1", "yes, up to 1", "no", "no", "0.2 mm per pulse"],
    ["Water meter, reed contact", "yes, up to 1", "no", "no", "contact closed for 20 ms at least"],
    ["Merle M3 as sensor", "no", "no", "no", "planned at the earliest for 2028"],
    ["pH probe PH-9", "yes, up to 2", "yes, up to 1", "no", "address 31 on delivery"],
]

SOFTWARE: list[Row] = [
    ["Program", "Version", "Runs on", "Works with"],
    ["Merle Link app (Android)", "5.2", "Android 10 and later", "M3 firmware 3.4 and later"],
    ["Merle Link app (iOS)", "5.2", "iOS 16 and later", "M3 firmware 3.4 and later"],
    ["Merle Desk 2", "2.8", "Windows 10 and 11", "M2 only; development ended in 2022"],
    ["Curlew Tool", "3.4", "Windows 10 and 11, Ubuntu 22.04", "C100 and C200"],
    ["Heron Desk", "4.1", "Windows 11, macOS 13", "H5 and H7"],
    ["Tern Cloud (browser)", "26.8", "Firefox 128, Chrome 126, Safari 17", "all devices"],
]

SLIDES: list[tuple[str, list[str], str]] = [
    (
        "Field maintenance for technicians",
        ["Training course TR-1, half a day", "Edition of April 2026", "Trainer: Graham Teasdale, Halifax"],
        "Welcome everybody. Hand out the orange notebooks. The course is for technicians of customers and partners; it "
        "does not entitle anyone to calibrate a C100 or C200.",
    ),
    (
        "The monthly round: what goes into the van",
        [
            "Two spare wiper sets, one twin pack of membrane caps, eight desiccant cartridges",
            "Hex keys 2.5 and 4 mm, torque screwdriver 0.2-2 Nm",
            "Bucket, soft brush, citric acid 5 %, 10 litres of tap water",
            "A second magnet pen: they fall into rivers",
        ],
        "Ask who has been on site without a spare magnet pen. Everyone laughs, and everyone has done it.",
    ),
    (
        "Order of work at a river station",
        [
            "1. Silence the site before you touch anything",
            "2. Photograph the station as you found it",
            "3. Write down the reading of the sensor and of your handheld meter",
            "4. Clean the sensor, wait 15 minutes, write down both readings again",
            "5. Change the desiccant if more than half of it is green",
            "6. Wait for one upload before you drive away",
        ],
        "The pair of readings before cleaning tells us the fouling, the pair after it tells us the drift. Without step 3 "
        "the visit is worth half.",
    ),
    (
        "When to lift the alarm bell",
        [
            "Fouling above 15 % on turbidity: halve the wiper interval",
            "Drift above 10 % after cleaning: order a calibration by a trained colleague",
            "Water inside the lid: swap the logger, do not dry it with a heat gun",
            "Corroded terminal: cut back 5 cm of the cable and strip it anew",
        ],
        "Heat guns have deformed four H5 lids in Nova Scotia alone in 2025.",
    ),
    (
        "Winter and summer rounds",
        [
            "Winter (November to March): one visit every six weeks is enough at rivers",
            "Summer: every three weeks, and every two at fish farms",
            "Clean solar panels in March and September, with water only",
            "Cut back branches within 1 m of the antenna in June",
        ],
        "Contracts of some utilities ask for more. Then the contract counts.",
    ),
    (
        "Working safely",
        [
            "Life jacket within 2 m of open water deeper than knee height",
            "Never alone in culverts; gas detector on before you go in",
            "Ring the office when you arrive and when you leave; after 90 minutes of silence the office rings you",
            "Needles and sharps: do not touch, report to the site owner",
        ],
        "The culvert rule is the only one for which we send people home.",
    ),
    (
        "Report and follow-up",
        [
            "Form FM-31 within two working days",
            "Spares used are booked on the station, not on the van",
            "Photographs: at least three, no faces, no number plates",
            "Test of twelve questions; nine must be right",
        ],
        "Certificates come by e-mail within a week and are valid for three years.",
    ),
]


def pdf_story(blocks: list[Block], body_size: float, widths: list[float] | None) -> list[Any]:
    """Turn blocks of prose into flowables; `widths` of the table columns in mm, None for natural widths."""
    sheet = getSampleStyleSheet()
    body = ParagraphStyle("body", parent=sheet["BodyText"], fontSize=body_size, leading=body_size * 1.32)
    head = ParagraphStyle("head", parent=sheet["Heading2"], fontSize=body_size + 2, spaceBefore=8, spaceAfter=3)
    cell = ParagraphStyle("cell", parent=body, fontSize=body_size - 1, leading=body_size * 1.15)
    styles = {"title": sheet["Heading1"], "h": head, "p": body, "li": body}
    story: list[Any] = []
    for kind, content in blocks:
        if isinstance(content, str):
            story.append(Paragraph(escape(content), styles[kind]))
            continue
        data = [[Paragraph(escape(text), cell) for text in row] for row in content]
        columns = [w * mm for w in widths[: len(content[0])]] if widths else None
        table = Table(data, colWidths=columns, repeatRows=1, hAlign="LEFT")
        grid = [("GRID", (0, 0), (-1, -1), 0.4, colors.grey), ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke)]
        table.setStyle(TableStyle([*grid, ("VALIGN", (0, 0), (-1, -1), "TOP")]))
        story += [Spacer(1, 4), table, Spacer(1, 6)]
    return story


def page_furniture(canvas: Canvas, doc: BaseDocTemplate, title: str) -> None:
    """Running head and foot of a page."""
    canvas.saveState()
    canvas.setFont("Helvetica", 7.5)
    canvas.drawString(18 * mm, 286 * mm, title)
    canvas.drawString(18 * mm, 10 * mm, "Tarnwick Instruments Ltd, Kendal, Cumbria")
    canvas.drawRightString(192 * mm, 10 * mm, f"Page {doc.page}")
    canvas.restoreState()


def write_pdf(name: str, blocks: list[Block], *, columns: int = 1, widths: list[float] | None = None) -> None:
    """Write one PDF with one or two columns."""
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    title = str(blocks[0][1])
    gap = 8 * mm
    width = (174 * mm - gap * (columns - 1)) / columns
    frames = [
        Frame(18 * mm + i * (width + gap), 17 * mm, width, 264 * mm, leftPadding=0, rightPadding=0, id=f"c{i}")
        for i in range(columns)
    ]
    doc = BaseDocTemplate(str(path), pagesize=A4, title=title, author=AUTHOR, invariant=1)
    doc.addPageTemplates(PageTemplate(id="page", frames=frames, onPage=partial(page_furniture, title=title)))
    doc.build(pdf_story(blocks, 9.6 if columns > 1 else 10.0, widths))


def write_docx(name: str, blocks: list[Block]) -> None:
    """Write one Word document."""
    doc = Document()
    for kind, content in blocks:
        if isinstance(content, list):
            table = doc.add_table(rows=len(content), cols=len(content[0]), style="Table Grid")
            for i, row in enumerate(content):
                for j, text in enumerate(row):
                    table.cell(i, j).text = text
            doc.add_paragraph()
        elif kind == "title":
            doc.add_heading(content, level=0)
        elif kind == "h":
            doc.add_heading(content, level=1)
        else:
            doc.add_paragraph(content, style="List Number" if kind == "li" else None)
    props = doc.core_properties
    props.author, props.title, props.last_modified_by = AUTHOR, str(blocks[0][1]), AUTHOR
    props.created = props.modified = STAMP
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    doc.save(str(path))
    freeze(path)


def write_xlsx(name: str, sheets: dict[str, list[Row]]) -> None:
    """Write one workbook, a header row on every sheet."""
    book = Workbook()
    book.remove(book.active)  # type: ignore[arg-type]
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for letter in "ABCDEF":
            sheet.column_dimensions[letter].width = 26
        sheet.freeze_panes = "A2"
    book.properties.creator = AUTHOR
    book.properties.created = STAMP
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    freeze(path)


def write_pptx(name: str, slides: list[tuple[str, list[str], str]]) -> None:
    """Write one slide deck with speaker's notes."""
    deck = Presentation()
    for number, (title, bullets, notes) in enumerate(slides, start=1):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        frame = slide.placeholders[1].text_frame
        frame.text = bullets[0]
        for bullet in bullets[1:]:
            frame.add_paragraph().text = bullet
        box = slide.shapes.add_textbox(Inches(0.4), Inches(7.0), Inches(6), Inches(0.4))
        box.text_frame.text = f"Tarnwick Instruments - field maintenance - slide {number}"
        box.text_frame.paragraphs[0].runs[0].font.size = Pt(10)
        slide.notes_slide.notes_text_frame.text = notes
    props = deck.core_properties
    props.author, props.title, props.last_modified_by = AUTHOR, slides[0][0], AUTHOR
    props.created = props.modified = STAMP
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    deck.save(str(path))
    freeze(path)


def freeze(path: Path) -> None:
    """Rewrite an Office file with fixed time stamps, so that two runs give the same bytes."""
    with zipfile.ZipFile(path) as source:
        parts = [(info.filename, source.read(info)) for info in source.infolist()]
    fixed = STAMP.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, body in parts:
            if name == "docProps/core.xml":
                body = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + fixed, body)
            target.writestr(zipfile.ZipInfo(name, STAMP.timetuple()[:6]), body, zipfile.ZIP_DEFLATED)


def main() -> None:
    """Write all binary documents of the area."""
    write_docx("manuals/merle-m3-user-manual.docx", M3_MANUAL)
    write_docx("manuals/curlew-c200-manual.docx", C200_MANUAL)
    write_pdf("manuals/curlew-c100-manual.pdf", C100_MANUAL, widths=[24, 58, 30, 56])
    write_pdf("specs/merle-comparison.pdf", MERLE_SPEC, widths=[58, 56, 56])
    write_pdf("specs/curlew-data-sheet.pdf", CURLEW_SPEC, columns=2, widths=[38, 44])
    write_pdf("specs/heron-specification.pdf", HERON_SPEC, widths=[46, 62, 62])
    write_pdf("safety/sds-rk-205-dpd-reagent.pdf", SDS_205, widths=[66, 44, 40])
    write_xlsx("calibration/intervals.xlsx", {"Intervals": INTERVALS, "Notes": INTERVAL_NOTES})
    write_xlsx("reference/compatibility.xlsx", {"Sensors and loggers": COMPAT, "Software": SOFTWARE})
    write_pptx("service/field-maintenance.pptx", SLIDES)


if __name__ == "__main__":
    main()
