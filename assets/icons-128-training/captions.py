# SPDX-License-Identifier: MIT
"""Caption grammar: names, synonyms, styles and backgrounds of the pictures.

Shared by data preparation (names, vocabulary) and training (captions). Reads and writes nothing.
"""
# name -> RGB; index 0 (white) is the default and needs no words
BACKGROUNDS = {
    "white": (255, 255, 255),
    "red": (214, 48, 49),
    "orange": (245, 150, 40),
    "yellow": (250, 220, 80),
    "green": (60, 170, 90),
    "blue": (50, 115, 220),
    "purple": (130, 75, 190),
    "pink": (245, 150, 190),
    "black": (20, 20, 24),
}
BG_NAMES = list(BACKGROUNDS)
# words of the grammar: weighted so that the tokenizer gets each as one token
EXTRA_WORDS = (
    "a an the of on in with style background icon emoji picture drawing image flat 3d fluent "
    "noto white red orange yellow green blue purple pink black and , . ' - 3 d"
).split()
# icon key -> nicer name; the others are called by their key with spaces for hyphens
NICE = {
    "automobile": "car",
    "sport-utility-vehicle": "suv",
    "piata": "pinata",
    "honeybee": "bee",
    "high-voltage": "lightning bolt",
    "doughnut": "donut",
    "lady-beetle": "ladybug",
    "hot-beverage": "coffee cup",
    "mobile-phone": "smartphone",
    "soft-ice-cream": "ice cream cone",
    "sauropod": "sauropod dinosaur",
    "t-rex": "t rex dinosaur",
    "phoenix-bird": "phoenix",
    "person-mage": "wizard",
    "person-superhero": "superhero",
    "person-zombie": "zombie",
    "person-vampire": "vampire",
    "person-elf": "elf",
    "person-fairy": "fairy",
    "pool-8-ball": "8 ball",
    "mans-shoe": "shoe",
    "womans-boot": "boot",
    "womans-hat": "sun hat",
    "womans-clothes": "blouse",
    "womans-sandal": "sandal",
    "thong-sandal": "flip flop",
    "e-mail": "email",
    "wastebasket": "trash can",
}
# icon key -> other names of it
SYN = {
    "automobile": ["automobile", "red car"],
    "high-voltage": ["lightning", "thunder"],
    "rocket": ["space rocket", "rocket ship"],
    "doughnut": ["doughnut"],
    "honeybee": ["honeybee"],
    "hot-beverage": ["coffee", "cup of coffee", "tea"],
    "mobile-phone": ["mobile phone", "phone"],
    "red-apple": ["apple"],
    "wastebasket": ["wastebasket", "bin"],
    "smiling-face-with-sunglasses": ["cool face", "face with sunglasses"],
    "red-heart": ["heart"],
    "house": ["home"],
    "deciduous-tree": ["tree"],
    "evergreen-tree": ["pine tree", "fir tree"],
    "beer-mug": ["beer", "glass of beer"],
    "wine-glass": ["wine", "glass of wine", "red wine"],
    "pile-of-poo": ["poop"],
    "t-rex": ["dinosaur", "t rex"],
    "sauropod": ["long neck dinosaur"],
    "locomotive": ["steam train", "steam locomotive"],
    "soccer-ball": ["football", "soccer"],
    "laptop": ["laptop computer", "notebook computer"],
    "desktop-computer": ["computer"],
    "wrapped-gift": ["gift", "present", "gift box"],
    "birthday-cake": ["cake"],
    "grinning-face": ["happy face", "smiley"],
    "crying-face": ["sad face"],
    "pouting-face": ["angry red face"],
    "fire": ["flame"],
    "star": ["yellow star"],
    "sun": ["sunshine"],
    "sailboat": ["sailing boat", "boat"],
    "bicycle": ["bike"],
    "motorcycle": ["motorbike"],
    "airplane": ["plane", "aeroplane"],
    "person-mage": ["mage"],
    "lady-beetle": ["lady beetle"],
    "soft-ice-cream": ["soft ice cream"],
    "t-shirt": ["shirt"],
    "flying-saucer": ["ufo"],
    "robot": ["robot face", "robot head"],
    "ghost": ["white ghost"],
    "spouting-whale": ["blue whale"],
    "ear-of-corn": ["corn"],
    "cheese-wedge": ["cheese"],
    "crescent-moon": ["moon"],
    "trophy": ["gold cup"],
    "rose": ["red rose"],
    "gem-stone": ["diamond", "gem"],
    "light-bulb": ["lightbulb", "lamp"],
    "alarm-clock": ["clock"],
    "fire-engine": ["fire truck"],
    "police-car": ["cop car"],
    "delivery-truck": ["truck"],
    "cut-of-meat": ["steak"],
    "hot-pepper": ["chili pepper"],
    "teddy-bear": ["teddy"],
    "tropical-fish": ["colorful fish"],
    "spider-web": ["cobweb"],
    "cherry-blossom": ["pink flower"],
    "blossom": ["flower"],
    "tulip": ["pink tulip"],
    "slightly-smiling-face": ["smiling face", "smile"],
    "santa-claus": ["santa"],
    "christmas-tree": ["xmas tree"],
    "palm-tree": ["palm"],
}


def article(s):
    return ("an " if s[0] in "aeiou" else "a ") + s


def _subject(rng, item):
    """The item's name, one of its synonyms, or its name and a tag; sometimes with a frame."""
    s = item["name"]
    r = rng.random()
    if item["syn"] and r < 0.22:
        s = rng.choice(item["syn"])
    elif item["tags"] and r < 0.30:
        s = s + " " + rng.choice(item["tags"])
    r = rng.random()
    if r < 0.30:
        return article(s)
    if r < 0.34:
        return s + " icon"
    if r < 0.38:
        return s + " emoji"
    return s


def _with_style(rng, s, style):
    r = rng.random()
    if r < 0.55:
        return s + ", " + style + " style"
    if r < 0.8:
        return s + ", " + style
    if not s.startswith(("a ", "an ")):
        return style + " " + s
    return s + " in " + style + " style"


def _with_background(rng, s, background):
    r = rng.random()
    if r < 0.6:
        return s + ", on a " + background + " background"
    if r < 0.85:
        return s + " on a " + background + " background"
    return s + ", " + background + " background"


def caption(rng, item, style, background):
    """A random caption of an item (of data/items.json), drawn from rng, a random.Random.

    Style words are optional for the item's default style, background words for white.
    """
    s = _subject(rng, item)
    if style != item["default"] or rng.random() < 0.3:
        s = _with_style(rng, s, style)
    if background != "white" or rng.random() < 0.15:
        s = _with_background(rng, s, background)
    return s
