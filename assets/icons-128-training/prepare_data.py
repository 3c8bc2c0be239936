#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Select emoji, render them with resvg and make the tokenizer.

Reads   npm/node_modules/: @iconify-json/fluent-emoji-flat, @iconify-json/fluent-emoji,
        @iconify-json/noto, emojibase-data (licences: ../NOTICE.md)
Writes  data/items.json  one entry per subject: name, key, tags, syn, styles (style -> row), default
        data/rgba.npy    uint8 [images, 128, 128, 4], rows as in items.json
        data/tokenizer/  vocab.json, merges.txt and two configs, in CLIP's format
"""
import argparse
import collections
import io
import re
from multiprocessing import Pool

import numpy as np
import resvg_py
from PIL import Image

import captions
from common import DATA, NPM, SIZE, read_json, write_json

# style -> package, and the side in pixels at which its pictures are drawn
PACKS = {
    "flat": ("@iconify-json/fluent-emoji-flat", 126),
    "3d": ("@iconify-json/fluent-emoji", 126),
    "noto": ("@iconify-json/noto", 116),
}
# left out: skin tones, flags, letters, symbols, gestures, near-duplicates, unsuitable subjects
EXCLUDED = re.compile(
    r"("
    r"-light|-medium|-dark|skin-tone|-tone\d|flag|keycap|oclock|-thirty$|^japanese-.*-button|"
    r"^input-|^letter-|^digit-|^\d|^family|^couple|^kiss-|wheelchair|white-cane|^man-|^woman-|"
    r"-button$|-arrow-|"
    r"^person-.*(bald|beard|hair|deaf|facepalm|feeding|frown|gestur|haircut|massage|kneel|"
    r"pouting|raising|shrug|standing|steamy|tipping|turban|veil|skullcap|tuxedo|facing-right|"
    r"in-bed|handball|water-polo|bunny|crown|wrestling|bouncing|bowing|cartwheel|genie|"
    r"levitating|juggling|merpeople|fencing|lifting|supervillain|taking-bath)|"
    r"^(up|down)-(left|right)-|pregnant|breast-feeding|-fist$|wards-hand$|pushing-hand$|"
    r"-symbol$|^no-|passport-control|customs|baggage-claim|left-luggage|^black-(small|large)|"
    r"^white-(small|large)|blood|wavy-dash|part-alternation|curly-loop|copyright|registered|"
    r"trade-mark|squared|transgender|"
    r"^(aries|taurus|gemini|cancer|leo|virgo|libra|scorpio|sagittarius|capricorn|aquarius|"
    r"pisces|ophiuchus)$|"
    r"-sign$|circled-m|eye-in-speech|mens-room|womens-room|restroom|middle-finger|"
    r"^(hamsa|khanda|one-piece-swimsuit|briefs|bikini|cigarette|coffin)$|"
    r"^(end|on|soon|top|back)-arrow$|backhand-index-pointing-(down|left)|"
    r"mobile-phone-(off|with)|antenna-bars|vibration|dim-|-no-|non-potable|potable-water|"
    r"^(minus|plus|divide|heavy-|eight-spoked|eight-pointed|dotted-|fleur|name-badge|small-|"
    r"hollow-red|sos|vs-|id-)|"
    r"currency-exchange|"
    r"^(mx-claus|biting-lip|older-person|person-walking-facing-right|children-crossing|om|"
    r"menorah|orthodox-cross|latin-cross|star-of-david|star-and-crescent)$|"
    r"fast-|next-track|last-track|shuffle|repeat|speaker-(low|high)|muted-speaker|"
    r"bell-with-slash|water-closet|litter|atm|infinity"
    r")")
# subjects that only Noto has
NOTO_EXTRA = ["lighthouse", "treasure-chest", "harp", "shovel", "trombone", "pickle", "orca",
              "meteor", "monarch-butterfly", "mermaid", "fingerprint", "leafless-tree"]
# Fluent's key -> Noto's
NOTO_ALIAS = {"blackbird": "black-bird", "phoenix-bird": "phoenix", "piata": "pinata"}
MERGES = 2200
START, END = "<|startoftext|>", "<|endoftext|>"


def load_pack(style):
    return read_json(NPM / PACKS[style][0] / "icons.json")


def find_icon(pack, key):
    """The icon's entry, or that of the icon it is an alias of, or None."""
    icons = pack["icons"]
    aliases = pack.get("aliases", {})
    if key not in icons and key in aliases:
        key = aliases[key]["parent"]
    return icons.get(key)


def svg_of(pack, icon):
    """The text of a complete SVG file."""
    box = (icon.get("left", 0), icon.get("top", 0),
           icon.get("width", pack.get("width", 16)), icon.get("height", pack.get("height", 16)))
    return ('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box[0]} {box[1]} {box[2]} {box[3]}">{icon["body"]}</svg>')


def render(job):
    """(svg text, side in pixels) -> uint8 [SIZE, SIZE, 4], centred on a transparent ground."""
    svg, side = job
    png = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side)
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    canvas = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
    margin = (SIZE - side) // 2
    canvas.paste(picture, (margin, margin))
    return np.asarray(canvas)


def keywords_by_key():
    """Icon key -> keywords, from emojibase's labels."""
    keywords = {}
    for e in read_json(NPM / "emojibase-data/en/data.json"):
        key = re.sub(r"[^a-z0-9]+", "-", e["label"].lower()).strip("-")
        keywords[key] = e.get("tags", [])
    return keywords


def select():
    """(items, render jobs): the subjects, each in every style that has it.

    A keyword of at most two subjects, and no subject's own name, counts as a synonym.
    """
    packs = {style: load_pack(style) for style in PACKS}
    keys = sorted(k for k in packs["flat"]["icons"] if not EXCLUDED.search(k))
    names = {k.replace("-", " ") for k in keys}
    keywords = keywords_by_key()
    uses = collections.Counter(t for k in keys for t in set(keywords.get(k, [])))
    items, jobs = [], []
    for key in keys + NOTO_EXTRA:
        name = captions.NICE.get(key, key.replace("-", " "))
        tags = [t for t in keywords.get(key, [])
                if re.fullmatch(r"[a-z][a-z ]*", t) and t not in name.split()]
        rare = [t for t in tags if uses[t] <= 2 and t not in names]
        styles = {}
        for style, pack in packs.items():
            icon = find_icon(pack, NOTO_ALIAS.get(key, key) if style == "noto" else key)
            if icon is None:
                continue
            styles[style] = len(jobs)
            jobs.append((svg_of(pack, icon), PACKS[style][1]))
        items.append({"name": name, "key": key, "tags": tags,
                      "syn": sorted(set(rare + captions.SYN.get(key, []))),
                      "styles": styles, "default": "flat" if "flat" in styles else "noto"})
    return items, jobs


def byte_symbols():
    """GPT-2's 256 printable stand-ins for bytes, in vocabulary order."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    stand_ins = range(256, 256 + 256 - len(printable))
    return [chr(c) for c in [*printable, *stand_ins]]


def word_counts(items):
    """Words to train the tokenizer on, with weights: names before keywords, the grammar first."""
    counts = collections.Counter()
    for item in items:
        for w in re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]+", item["name"]):
            counts[w] += 20
        for tag in item["tags"]:
            for w in re.findall(r"[a-z]+", tag):
                counts[w] += 3
    for w in captions.EXTRA_WORDS:
        counts[w] += 5000
    return counts


def merge_pair(symbols, pair):
    """Join each occurrence of the pair in a list of symbols, left to right, in place."""
    i = 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) == pair:
            symbols[i:i + 2] = [pair[0] + pair[1]]
        i += 1


def train_bpe(counts, n_merges):
    """Plain byte-pair encoding with </w>; ties go to the pair that sorts last."""
    words = [(list(w[:-1]) + [w[-1] + "</w>"], n) for w, n in sorted(counts.items())]
    merges = []
    for _ in range(n_merges):
        pairs = collections.Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = max(pairs.items(), key=lambda kv: (kv[1], kv[0]))[0]
        merges.append(best)
        for symbols, _ in words:
            merge_pair(symbols, best)
    return merges


def write_tokenizer(folder, merges):
    """CLIP's layout: bytes, bytes at a word's end, merges in order, start, end."""
    symbols = byte_symbols()
    vocab = [*symbols, *(c + "</w>" for c in symbols), *(a + b for a, b in merges), START, END]
    if len(set(vocab)) != len(vocab):
        raise ValueError("two merges give the same token")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "vocab.json", {t: i for i, t in enumerate(vocab)}, ensure_ascii=False)
    with open(folder / "merges.txt", "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n")
        f.writelines(f"{a} {b}\n" for a, b in merges)

    def special(s):
        return {"content": s, "lstrip": False, "normalized": True, "rstrip": False,
                "single_word": False}

    write_json(folder / "special_tokens_map.json",
               {"bos_token": special(START), "eos_token": special(END),
                "unk_token": special(END), "pad_token": END}, indent=2)
    write_json(folder / "tokenizer_config.json",
               {"add_prefix_space": False, "bos_token": START, "eos_token": END,
                "unk_token": END, "pad_token": END, "do_lower_case": True, "errors": "replace",
                "model_max_length": 32, "tokenizer_class": "CLIPTokenizer"}, indent=2)
    print("vocab", len(vocab), "merges", len(merges))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--list", action="store_true", help="print the icon keys and write nothing")
    args = ap.parse_args()
    items, jobs = select()
    print(len(items), "subjects", len(jobs), "images")
    if args.list:
        print(" ".join(item["key"] for item in items))
        return
    DATA.mkdir(exist_ok=True)
    write_tokenizer(DATA / "tokenizer", train_bpe(word_counts(items), MERGES))
    write_json(DATA / "items.json", items, indent=0)
    with Pool(2) as pool:
        rgba = np.stack(pool.map(render, jobs, chunksize=16))
    np.save(DATA / "rgba.npy", rgba)
    empty = int((rgba[..., 3].reshape(len(rgba), -1).max(1) == 0).sum())
    print(rgba.shape, "empty:", empty)


if __name__ == "__main__":
    main()
