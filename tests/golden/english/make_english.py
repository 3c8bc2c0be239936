"""english.json: sentences and their phonemes by hibari-tts 0.2.1 (its g2p package), American and British.

Versions: hibari-tts 0.2.1, onnxruntime 1.31.1, numpy. Seed 5; nothing else is random.
Commands, from the repository's root, with the package unpacked at $HIBARI (the folder that holds hibari/):
    python tests/golden/english/make_english.py golden            writes english.json
    python tests/golden/english/make_english.py compare LINES FOLDER [us|gb] [n] [prose]
    python tests/golden/english/make_english.py tiny              writes tiny/: made-up data of the same forms, for tests
                          that need no package (onnx 1.23.2; seed 7)
    for compare: n sentences (5000) through build/tests/modules/audio/english_lines: the share of equal words
All sentences are composed here. With `prose`, half of those to compare are lines of Python's own documentation instead,
which are read where they lie and not kept.
"""
import difflib
import json
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.environ.get("HIBARI", "."))

NAMES = "John Mary Alice Bob Siobhan Xavier Nguyen Patel O'Brien McDonald MacArthur Schwarzenegger Zhang Müller Gómez Smith Johnson Williams " \
        "Eleanor Penelope Hermione Aoife Dmitri Yuki Fatima Kwame Ingrid Björk Anaïs Zoë Tchaikovsky Nietzsche Leicester".split()
CITIES = "London Paris New_York San_Francisco Worcester Edinburgh Albuquerque Reykjavik Kyiv São_Paulo Massachusetts Ohio Tokyo Nairobi Leeds".split()
TITLES = ["Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "Capt.", "Gen.", "Sen.", "Rev.", "St.", "Dr", "Mr", "Lt."]
NOUNS = "apple engine theorem orchestra umbrella hour university horse knife mouse analysis crisis window bottle river shadow lantern teacher " \
        "carriage mountain question answer battery keyboard violin chimney harbor philosophy algorithm voice letter record present object lead wind tear bow".split()
ADJS = "red old ugly honest eager tiny unusual heavy bright curious brilliant long-term well-known state-of-the-art anti-war ex-military live close perfect".split()
VERBS = "walk stop carry plan visit admit record present read object produce close use lead permit refuse wind increase separate estimate house bake panic".split()
ADVS = "quickly slowly never often already quite rather almost hardly abruptly".split()
UNKNOWN = "blorptastic zibbering Quexel flumoxination grindlewax Tharnuvia snorfle wugs wugged wugging Kubernetes PostgreSQL GitHub Zyloquin frabjous " \
          "brillig slithy toves Jabberwocky mimsy borogoves Cthulhu hygge xylotomy vroomfondel Ouagadougou Llanfair Eyjafjallajökull uffish tulgey".split()
ABBR = "NASA BBC USA U.S. U.K. e.g. i.e. etc. Ph.D. HTML SQL JSON UNESCO FBI CEO AI A.I. TV DVD URL CPU GPU RAM LED DIY FAQ IBM MIT NATO ASAP ETA".split()
CONTR = "don't can't won't I'll I'd we've they're it's she's isn't wouldn't've could've y'all ma'am o'clock rock'n'roll who's there's that'll ain't let's cannot gonna".split()
MONTHS = "January February March April May June July August September October November December Jan Feb. Mar Apr. Aug Sept. Oct Nov. Dec.".split()
HETERO = ["I read the book that you read yesterday.", "They live near a live wire.", "Please close the close door.", "The bandage was wound around the wound.",
          "We must polish the Polish furniture.", "He could lead if he would get the lead out.", "The soldier decided to desert in the desert.",
          "I did not object to the object.", "The insurance was invalid for the invalid.", "The row of oarsmen had a row.", "She shed a tear over the tear in her dress.",
          "The wind was too strong to wind the sail.", "They record a record every year.", "The present is a good time to present the present.",
          "I used to use the used car that was used by us.", "Do you know the use of what you use?", "He was content with the content.", "Upon seeing the tear I shed a tear.",
          "The farm was used to produce produce.", "The dump was so full that it had to refuse more refuse.", "How can I intimate this to my most intimate friend?",
          "The bass player caught a bass.", "Can you permit me to buy a permit?", "She will estimate the estimate.", "They separate the separate piles.",
          "A minute is a minute part of the day.", "To excuse an excuse; to abuse an abuse; to house a house.", "He was elaborate, so he would elaborate.",
          "I am what I am.", "This is the one I am in.", "Come in, to the end, and the open door by the apple tree.", "Where do you come from, and what are you up to?",
          "The US and us.", "It is in THE house, and IN the garden.", "An hour, a union, a European, an MP, a one-off."]
NATURAL = ["The quick brown fox jumps over the lazy dog.", "She sells sea shells by the sea shore.", "It was the best of times, it was the worst of times.",
           "A bakery is a small theatre, and at three in the morning the lights go on.", "Turn left; then right, then -- if you like -- straight on.",
           "\"Stop!\" he cried. \"Now.\"", "“Where are you going?” she asked, “and why?”", "'Tis the season, 'twas the night, and rock 'n' roll's here to stay.",
           "Well... I'm not sure… maybe?", "What?! No way!!", "(He laughed.) She did not.", "Hmm, uh, oh! Ah, ooh, psst.", "HELLO WORLD, PLEASE DO NOT SHOUT!",
           "The children's toys, the dogs' bowls, James's hat and Charles' coat.", "iPhone, eBay, McDonald's, YouTube, LaTeX and macOS.",
           "Visit https://www.example.com/page?id=5 or www.example.org, or mail info@example.com today.", "See example.com/help, or call 555-1234 or 212-555-0199.",
           "The file is C:\\temp\\file.txt or /usr/local/bin/python3.11 (v2.0.1).", "AT&T, R&D, Q&A, C++ and C# are fine; a & b, x = y, p < q, 5 > 3, ~10.",
           "foo_bar and snake_case_name; camelCaseName and PascalCase; kebab-case-name.", "Vitamin B12, CO2, H2O, MP3, 4x4, 3D, 5G, B2B, P2P, A4 and 747-400.",
           "Caffè naïve façade, résumé, jalapeño, Zürich and coöperate.", "hello 😀 world 🎉!", "Москва и 東京 and Αθήνα.", "¿Qué tal? ¡Hola!", "1st, 2nd, 3rd, 4th, 11th, 21st, 100th, 1,000th.",
           "It's 5'10\" tall, 72°F or 22 °C, −5 or -5 or +5.", "50% off, 100 %, 3.5%, 0.05, .5, 1e6, 1/2, 3/4, 2 1/2, 7/8, 9/11, 24/7.", "Louis XIV, Henry VIII, Chapter IV, World War II, Part III, Act V, Rocky II.",
           "$5, $5.99, $1,000,000, £20, £3.50, €3.50, ¥100, ₹500, 99¢, $1.5 million, $20k, USD 30, Rs. 20, $0.99, $1, $1.01.", "No. 5, Nos. 5 and 6, #1, vol. 3, pp. 5-10, fig. 2, ch. 4.",
           "the 1980s, the '90s, 007, 1066, 1900, 1905, 2000, 2005, 2010, 2024, 3000.", "10-20, 5–10%, 1914-1918, 3-4 days, pages 10 - 12.", "A.M. or P.M.? At 10 a.m. or 5 p.m., 12:00, 23:59:59, 6:05pm, 5:30 PM.",
           "The re-entry of the co-pilot was pre-arranged by a self-employed vice-president.", "He's gone; they've left; we'd say he'd've known.", "I'm a 3-year-old, he's a 20-something.",
           "Walking, stopped, carried, wugs, boxes, wishes, judged, planned, panicked, baking, dying, hitting, added, started, batted."]


def number(r):
    kind = r.randrange(10)
    if kind == 0:
        return str(r.randrange(10))
    if kind == 1:
        return str(r.randrange(100))
    if kind == 2:
        return str(r.randrange(1000))
    if kind == 3:
        return str(r.randrange(1000, 10000))
    if kind == 4:
        return f"{r.randrange(1000, 10**r.randrange(4, 13)):,}"
    if kind == 5:
        return f"{r.uniform(0, 1000):.{r.randrange(1, 4)}f}"
    if kind == 6:
        return f"-{r.randrange(200)}"
    if kind == 7:
        n = r.randrange(1, 130)
        return f"{n}" + ("th" if 10 < n % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th"))
    if kind == 8:
        return str(r.randrange(10**r.randrange(4, 16)))
    return f"{r.randrange(1, 10)}{r.choice(['x', 'k', 's', 'M', 'D', 'G', '%', '+'])}"


def money(r):
    sign = r.choice("$$$£€¥₹")
    return r.choice([f"{sign}{r.randrange(1, 2000)}", f"{sign}{r.uniform(0, 100):.2f}", f"{sign}{r.randrange(1, 900)} million",
                     f"{sign}{r.uniform(1, 9):.1f}{r.choice('kmbKMB')}", f"{sign}{r.randrange(1000, 999999):,}", f"{r.choice(['USD', 'EUR', 'GBP', 'Rs.'])} {r.randrange(1, 99)}", f"{r.randrange(1, 99)}¢"])


def date(r):
    d, m, y = r.randrange(1, 32), r.choice(MONTHS), r.randrange(1700, 2040)
    return r.choice([f"{m} {d}, {y}", f"{d} {m} {y}", f"the {d} of {m}", f"{m} {d}", f"{y}-{r.randrange(1, 13):02d}-{min(d, 28):02d}", f"{r.randrange(1, 13)}/{d}/{y}", f"{r.randrange(1, 13)}/{d}/{y % 100:02d}",
                     f"{m} {d}th", str(y), f"the {y // 10 * 10}s", f"{m} {y}"])


def clock(r):
    return r.choice(["{h}:{m:02d}", "{h}:{m:02d} pm", "{h}:{m:02d}am", "{h}:{m:02d} a.m.", "{h}:{m:02d}:{s:02d}", "{h} o'clock", "{h} p.m.", "{h}am"]).format(h=r.randrange(1, 24), m=r.choice([0, 5, 30, r.randrange(60)]), s=r.randrange(60))


def unit(r):
    return f"{r.choice([str(r.randrange(1, 300)), f'{r.uniform(0, 20):.1f}', '1', '-4'])}{r.choice(['', ' '])}{r.choice('km cm mm kg mg lb lbs oz ft mi ml mph km/h Hz kHz MHz GHz KB MB GB TB hr hrs min mins sec ms yd kWh kW fps °C °F ° %'.split())}"


def phrase(r):
    kind = r.randrange(12)
    if kind < 3:
        return f"{r.choice(['the', 'a', 'an', 'his', 'every'])} {r.choice(ADJS)} {r.choice(NOUNS)}"
    return {3: lambda: f"{r.choice(TITLES)} {r.choice(NAMES)}", 4: lambda: number(r), 5: lambda: money(r), 6: lambda: date(r), 7: lambda: clock(r), 8: lambda: unit(r),
            9: lambda: r.choice(UNKNOWN), 10: lambda: r.choice(ABBR), 11: lambda: r.choice(CITIES).replace("_", " ")}[kind]()


def ending(r, verb):
    return verb + r.choice(["", "s", "ed", "ing", "er", "able"])


FRAMES = [
    lambda r: f"{r.choice(NAMES)} {ending(r, r.choice(VERBS))} {phrase(r)} {r.choice(['in', 'to', 'by', 'with', 'from', 'near'])} {phrase(r)}.",
    lambda r: f"On {date(r)}, {phrase(r)} will {r.choice(VERBS)} {phrase(r)} at {clock(r)}.",
    lambda r: f"{r.choice(CONTR).capitalize()} {r.choice(ADVS)} {r.choice(VERBS)} the {r.choice(NOUNS)}s, {r.choice(['and', 'but', 'or', 'because', 'unless'])} {phrase(r)} {r.choice(CONTR)} {r.choice(VERBS)}?",
    lambda r: f"“{phrase(r)},” said {r.choice(TITLES)} {r.choice(NAMES)}, “is {r.choice(ADVS)} {r.choice(ADJS)}!”",
    lambda r: f"\"{r.choice(['Why', 'When', 'Oh', 'No'])}, {phrase(r)}?\" — {r.choice(NAMES)}'s {r.choice(NOUNS)} ({phrase(r)}) {ending(r, r.choice(VERBS))}; {phrase(r)}...",
    lambda r: f"It costs {money(r)} for {number(r)} {r.choice(NOUNS)}s, about {unit(r)} each, or {number(r)} - {number(r)}.",
    lambda r: f"The {r.choice(UNKNOWN)} {ending(r, r.choice(VERBS))} {r.choice(UNKNOWN)}'s {r.choice(NOUNS)} and the {r.choice(ABBR)} {r.choice(ABBR)} {r.choice(NOUNS)}.",
    lambda r: f"{r.choice(CITIES).replace('_', ' ')} is {unit(r)} from {r.choice(CITIES).replace('_', ' ')}, pop. {number(r)}; call {r.randrange(100, 999)}-{r.randrange(1000, 9999)} before {clock(r)}.",
    lambda r: f"{r.choice(['Chapter', 'Part', 'Henry', 'Louis', 'Act', 'World War', 'King', 'Section'])} {r.choice(['I', 'II', 'III', 'IV', 'V', 'VI', 'IX', 'XIV', 'XX', 'XLII', 'C', 'MC'])}: {phrase(r)} to {phrase(r)}, {r.choice(NOUNS)}-{r.choice(NOUNS)}.",
    lambda r: f"{r.choice(NAMES).upper()} {r.choice(VERBS).upper()}S {r.choice(['THE', 'A', 'TO', 'IN', 'AN'])} {r.choice(NOUNS).upper()} {r.choice(ADVS).capitalize()} {r.choice(NOUNS).capitalize()} {phrase(r)}!",
]


def composed(n):
    r = random.Random(5)
    out = list(dict.fromkeys(HETERO + NATURAL))
    while len(out) < n:
        out.append(r.choice(FRAMES)(r))
    r.shuffle(out)
    return out[:n]


def prose(n):
    import pydoc_data.topics
    text = "\n\n".join(pydoc_data.topics.topics.values())
    paragraphs = [re.sub(r"\s+", " ", p).strip() for p in re.split(r"\n\s*\n", text)]
    lines = [s for p in paragraphs for s in re.split(r"(?<=[.!?]) (?=[A-Z])", p) if 20 < len(s) < 400 and re.search(r"[a-z]{3} [a-z]{2}", s)]
    random.Random(6).shuffle(lines)
    return lines[:n]


def reference(lines, british):
    from hibari.g2p import G2P
    g2p = G2P(british=british)
    return [g2p(s) for s in lines]


def golden():
    lines = composed(5000)
    special = [s for s in HETERO + NATURAL]
    us = special + [s for s in lines if s not in special][:300]
    gb = special + [s for s in lines if s not in special][300:450]
    data = {a: [[s, p] for s, p in zip(texts, reference(texts, a == "gb"))] for a, texts in (("us", us), ("gb", gb))}
    with open(os.path.join(HERE, "english.json"), "w", encoding="utf-8") as f:
        json.dump(data, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def compare(program, folder, accent="us", n="5000", kind=""):
    n = int(n)
    lines = composed(n // 2) + prose(n - n // 2) if kind == "prose" else composed(n)
    want = reference(lines, accent == "gb")
    run = subprocess.run([program, folder, accent], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    got = run.stdout.split("\n")[:-1]
    assert len(got) == len(want), (len(got), len(want))
    same = words = whole = 0
    for s, w, g in zip(lines, want, got):
        a, b = w.split(), g.split()
        equal = len(a) if w == g else sum(m.size for m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
        same, words, whole = same + equal, words + max(len(a), len(b)), whole + (w == g)
        if w != g:
            print(f"{s}\n  package {w}\n  bottega {g}")
    print(f"{len(lines)} sentences, {whole} equal; {words} words, {same} equal: {100 * same / words:.3f} %", run.stderr.strip())


TINY_LEXICON = {
    "us_gold": {"A": "ˈA", "B": "bˈi", "C": "sˈi", "S": "ˈɛs", "apple": "ˈæpᵊl", "am": "æm", "and": "ænd", "at": "æt", "ball": "bˈɔl", "bat": "bˈæt", "dog": "dˈɔɡ", "dollar": "dˈɑləɹ", "cent": "sˈɛnt",
                "hello": "həlˈO", "ii": "tˈu", "n't": "ənt", "do": "dˈu", "one": "wˈʌn", "two": "tˈu", "three": "θɹˈi", "five": "fˈIv", "ten": "tˈɛn", "twenty": "twˈɛnti", "zero": "zˈɪɹO",
                "hundred": "hˈʌndɹəd", "thousand": "θˈWzᵊnd", "first": "fˈɜɹst", "point": "pˈYnt", "minus": "mˈInəs", "percent": "pəɹsˈɛnt", "Ann": "ˈæn", "to": "tˈu", "used": {"DEFAULT": "jˈuzd", "VBD": "jˈust"},
                "read": {"DEFAULT": "ɹˈid", "VBD": "ɹˈɛd", "NOUN": None}, "record": {"DEFAULT": "ɹəkˈɔɹd", "NOUN": "ɹˈɛkəɹd"}, "re": "ɹˈi", "box": "bˈɑks", "visit": "vˈɪzət", "bake": "bˈAk", "stop": "stˈɑp"},
    "us_silver": {"zebra": "zˈibɹə", "walk": "wˈɔk"},
}
TINY_TAGGER = {
    "tags": ["$", "''", ",", "-LRB-", "-RRB-", ".", ":", "CD", "DT", "IN", "NN", "NNP", "PRP", "TO", "VBD", "``"],
    "tagdict": {".": ".", "!": ".", "?": ".", ";": ":", ",": ",", "(": "-LRB-", ")": "-RRB-", "$": "$", "-": ":", "the": "DT", "a": "DT", "to": "TO", "\"": "''", "“": "``", "”": "''", "I": "PRP", "in": "IN"},
    "vocab": ["!DIGITS", "!YEAR", "hello", "read", "he"],
    "weights": {"b": {"NN": 1.0}, "sh=d": {"CD": 9.5}, "w=!DIGITS": {"CD": 8.0}, "sh=Xx": {"NNP": 3.5}, "w-1=he": {"VBD": 7.0, "NN": -2.5}, "s3=\"": {"''": 1.5}},
}
TINY_TABLES = {
    "months": {m.lower(): f for m, f in zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), "January February March April May June July August September October November December".split())},
    "titles": {"Dr": "Doctor", "St": "Saint"}, "abbreviations": {"St.": "Street", "vs": "versus", "etc.": "and so on"}, "units": {"km": ["kilometer", "kilometers"], "km/h": ["kilometers per hour"] * 2, "ft": ["foot", "feet"]},
    "symbols": {"=": "equals", "~": "about", "|": ", ", "½": "one half", "_": " "}, "currency": {"$": ["dollar", "dollars"], "£": ["pound", "pounds"], "¥": ["yen", "yen"], "¢": ["cent", "cents"], "Rs": ["rupee", "rupees"]},
    "roman_cardinal": ["Chapter", "World War"], "roman_ordinal": ["King"],
}


def tiny():
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper
    folder = os.path.join(HERE, "tiny")
    os.makedirs(folder, exist_ok=True)

    def put(name, data):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(data, f, ensure_ascii=False, separators=(",", ":"), indent=None)
    for name, words in TINY_LEXICON.items():
        put(f"lexicon_{name}.json", dict(sorted(words.items())))
    put("tagger.json", TINY_TAGGER)
    put("normalize.json", TINY_TABLES)
    put("tokenizer_exceptions.json", {"don't": ["do", "n't"], "Dr.": ["Dr."], "10am": ["10", "am"], "):": ["):"], "a.m.": ["a.m."]})
    letters, labels, slots, longest, width, inner = [chr(c) for c in range(97, 123)] + ["é"], list("abdfhiklmnpstuvwz") + ["ˈ", "ə"], 2, 12, 8, 16
    put("oov.json", {"in": letters, "out": labels, "slots": slots, "maxlen": longest})
    r = np.random.default_rng(7)
    t = {"m.emb.weight": (len(letters) + 1, width), "m.pos": (longest, width), "m.norm.weight": (width,), "m.norm.bias": (width,), "m.head.bias": (slots * (len(labels) + 1),),
         "onnx::MatMul_501": (width, slots * (len(labels) + 1)), "onnx::MatMul_490": (width, 3 * width), "onnx::MatMul_498": (width, width), "onnx::MatMul_499": (width, inner), "onnx::MatMul_500": (inner, width)}
    for part, n in (("self_attn.in_proj_bias", 3 * width), ("self_attn.out_proj.bias", width), ("linear1.bias", inner), ("linear2.bias", width), ("norm1.weight", width), ("norm1.bias", width), ("norm2.weight", width), ("norm2.bias", width)):
        t[f"m.layers.0.{part}"] = (n,)
    graph = helper.make_graph([], "tiny", [], [], [numpy_helper.from_array(r.standard_normal(s).astype(np.float32), n) for n, s in t.items()])
    onnx.save(helper.make_model(graph), os.path.join(folder, "oov.onnx"))


if __name__ == "__main__":
    {"golden": golden, "compare": compare, "tiny": tiny}[sys.argv[1]](*sys.argv[2:])
