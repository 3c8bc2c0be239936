"""phonemes.json: 200 English sentences, and a few of other languages, to phonemes and ids by piper-tts.

Versions: piper-tts 1.8.0 (its own espeak-ng 1.52.0.1 build and data), in its own virtual environment. Nothing is random.
Command: BOTTEGA_JOE=<en_US-joe-medium.onnx> python make_phonemes.py   (with piper-tts's python)
Only text and the resulting phonemes are kept; nothing of espeak-ng is copied here.
"""
import importlib.metadata
import json
import logging
import os
import sys

logging.disable(logging.WARNING)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from piper import PiperVoice
from piper.phonemize_espeak import EspeakPhonemizer

V = PiperVoice.load(os.environ["BOTTEGA_JOE"])
T = """Hello.|Hello, world!|This is a test.|Is this a test?|What a day!|no final stop|one|A|I|The end|Yes, no, and maybe.|Well... I am not sure.|Wait… what?|He left - at last.|He left – at last.|He left — at last.|Well-known facts.|Read (if you can) this line.|Read [this] {too}.|First; second; third.|Note: it works.|Time: 6:30, place: home.|"Quoted," she said.|“Quoted,” she said.|'Single' quotes.|‘Single’ quotes.|It's John's dog; they're late, aren't they?|Don't! Can't! Won't!|I'd've gone.|Rock 'n' roll.
One. Two. Three.|One! Two? Three.|Hello there. How are you today? I am fine!|Dr. Smith met Mr. Jones and Mrs. Brown on St. John's St. yesterday.|Prof. Lee vs. Gen. Grant, etc.|e.g. this, i.e. that.|The U.S. and the U.K. agree.|The USA, NATO and the EU.|NASA launched it.|HELLO WORLD|PLEASE DO NOT SHOUT AT ME.|iPhone and eBay|McDonald's|BBC, CNN, HTML, SQL and URL.|A.M. or P.M.|10 a.m. to 5 p.m.|OK, ok, okay.|Ph.D. in physics|No. 5 is alive.|Inc. and Ltd.
0|1|2|10|11|12|13|20|21|42|99|100|101|110|999|1000|1001|1234|1999|2000|2001|2024|10000|12345|100000|1000000|1,000|12,345,678|1 000 000|1234567890
3.14|0.5|.5|-5|+5|1/2|3/4|2 1/2|50%|100 %|1e6|1st|2nd|3rd|4th|11th|21st|100th|1980s|the '90s|007|0800 555 1234|+1 (555) 123-4567|192.168.0.1|v2.0.1|3x4|5 + 5 = 10|7 - 3|6 * 7|10 / 2
$5|$5.99|$1,000,000|£20|€3.50|¥100|5 dollars and 20 cents|$1 million|5 kg|10 km/h|72°F|20 °C|5'10"|3 ft|2 lb|100 MB|64-bit|2 x 4|A4 paper|Boeing 747
January 1, 2024|Jan 1st, 2024|1 January 2024|2024-01-15|12/25/2023|25.12.2023|in 1066|in 1805|in 2010|the 21st of May|Monday, May 5|6:30|6:30 pm|12:00|23:59:59|noon|Feb. 3|July 4, 1776|the year 1900|the year 2005
https://www.example.com/page?id=5|www.example.org|Visit example.com today.|info@example.com|C:\\temp\\file.txt|/usr/local/bin|README.md|#hashtag @user|C++ and C#|foo_bar|a & b|R&D|AT&T|50/50|and/or|<b>bold</b>|*stars*|`code`|x > y|a = b
Caffè naïve façade|Über résumé|Zürich and São Paulo|Москва|東京|hello 😀 world|(parentheses only)|...|!|?|   spaces   around   |Tabs\tand\nnewlines\nhere|A line.\nAnother line.\n\nA paragraph.|The quick brown fox jumps over the lazy dog.|She sells sea shells by the sea shore.|Peter Piper picked a peck of pickled peppers.|I read it yesterday; I will read it tomorrow.|The wind will wind the sail.|Lead and lead are different words.|They live near a live wire.|He will present the present.|The record will record.|Though tough, the cough went through the bough.|Worcestershire sauce, Leicester and Edinburgh.|Xylophone, queue, rhythm, psychology.|supercalifragilisticexpialidocious|Aaaaah! Hmm. Shh! Psst, zzz.|Ha ha ha!|the apple, the pear, a hour, an hour|To be, or not to be: that is the question.
A bakery is a small theatre, and at three in the morning the lights go on.|When the shelves are empty, usually before noon, the two of them sweep the floor, feed the starter, and set out the bowls for the night.|If you can keep your head when all about you are losing theirs and blaming it on you; if you can trust yourself when all men doubt you, but make allowance for their doubting too...|Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, I thought I would sail about a little.|It was the best of times, it was the worst of times.|Turn left; then right, then -- if you like -- straight on.|She said: "Come in!" Then: "Sit down."|He asked, "Why?" and left.|"Stop!" he cried. "Now."|(He laughed.) She did not.|What?! No way!!|Really?? Yes...|Wait. . . what?|Item 1: apples. Item 2: pears.|1. First 2. Second|a) one b) two|Chapter IV, Henry VIII|Louis XIV was king.|World War II|Vitamin B12 and CO2
""".strip("\n")
texts = [s.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\") for line in T.split("\n") for s in line.split("|")]
texts = list(dict.fromkeys(texts))
rows = []
for t in texts:
    ph = V.phonemize(t)
    rows.append({"text": t, "phonemes": ["".join(p) for p in ph], "ids": [V.phonemes_to_ids(p) for p in ph], "missing": sorted({c for p in ph for c in p if c not in V.config.phoneme_id_map})})
    assert all([list("".join(p)) == p for p in ph])
OTHER = {
    "de": ["Guten Tag, wie geht es Ihnen?", "Das kostet 12,50 Euro.", "Der Zug fährt um 14:30 Uhr ab.", "Straße, Schloß und Übermut"],
    "fr": ["Bonjour, comment allez-vous ?", "Il est 15h30.", "L'été dernier, j'ai vu l'océan.", "Vingt-et-un euros."],
    "it": ["Buongiorno, come stai?", "Costa 3,50 euro.", "Perché no? È così.", "La bottega dell'artigiano"],
    "es": ["¿Cómo estás? ¡Muy bien!", "Son las 10:45.", "El niño comió piñas.", "Año 2024"],
    "en-gb-x-rp": ["The bath is hot.", "Colour and flavour.", "Schedule the lieutenant.", "This is a test."],
}
E = EspeakPhonemizer()
more = [{"voice": v, "text": t, "phonemes": ["".join(p) for p in E.phonemize(v, t)]} for v, ts in OTHER.items() for t in ts]
g = V.phonemes_to_ids(V.phonemize("This is a test.")[0])
assert g == [1, 0, 41, 0, 74, 0, 31, 0, 3, 0, 74, 0, 38, 0, 3, 0, 50, 0, 3, 0, 32, 0, 120, 0, 61, 0, 31, 0, 32, 0, 10, 0, 2], g
P = os.path.join(os.path.dirname(os.path.abspath(__file__)), "phonemes.json")
json.dump({"versions": {"piper-tts": importlib.metadata.version("piper-tts"), "espeak-ng": "1.52.0.1 (in piper-tts)"}, "voice": "en-us", "model": "en_US-joe-medium",
           "notes": "phonemes: one string per sentence; one phoneme is one code point of it (NFD). ids: one list per sentence. missing: code points that the voice's map lacks (skipped).",
           "sentences": rows, "other_voices": more}, open(P, "w"))
print(len(rows), os.path.getsize(P))
for r in rows[:12] + rows[-6:]:
    print(ascii(r["text"])[:60], r["phonemes"])
print([(r["text"], r["missing"]) for r in rows if r["missing"]], [r["text"] for r in rows if not r["phonemes"] or not all(r["phonemes"])])
