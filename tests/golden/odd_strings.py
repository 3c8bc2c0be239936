"""Odd strings for the tokenizer goldens; deterministic."""
import random
import unicodedata

HAND = [
    "", " ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\n ", "\t\t", " \t \n", "a ", " a", "  a", "a  b", "a   b", "a\tb", "a\nb", "a\n\nb", "a \n b", "a\r\nb", "a\r\n\r\nb", "   a   ", "\n\n\na", "a\n\n\n",
    "\u00a0", "a\u00a0b", "\u3000", "a\u3000b", "\u2003x", "\u200b", "a\u200bb", "\ufeff", "\ufeffhello", "\u2028", "a\u2028b", "\u0085", "\x0b\x0c", "a\x0bb", "\x1c\x1f", "\u180e", "\u2060x",
    "Hello, world!", "hello", "Hello", "HELLO", "hELLO", "don't", "I'm", "you've", "they'll", "we'd", "it's", "you're", "DON'T", "I'M", "Y'all've", "'tis", "'s", "'S", " 's", "''", "'", "' '", "can’t", "o'clock", "'ll've", "x'sy", "'T", "n't",
    "0", "1", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,000,000", "1e-5", "0x1F", "-42", "+1 (555) 123-4567", "2024-02-29", "12:34:56", "50%", "$9.99", "1st 2nd 3rd", "a1b2c3", "1a", "a1", " 1", "  12  ", "x²", "½", "⅓ ¼", "Ⅻ", "①②③", "٠١٢٣", "१२३", "１２３", "𝟘𝟙𝟚", "六千", "²³", "1½", "৩", "೨",
    "!", "!!", "!!!", "...", "…", "--", "---", "—", "a--b", "a—b", "(a)", "[a]", "{a}", "<a>", "a_b", "__init__", "a.b.c", "a/b\\c", "#hash", "@user", "a@b.co", "http://example.org/?q=1&r=2#x", "C:\\dir\\file.txt", "~/.bashrc", "a=b", "a==b", "a!=b", "a->b", "a=>b", "::", "&&", "||", "<<", ">>=", "/* c */", "// c", "# c", "`x`", "```c\nint x;\n```", "\"q\"", "“q”", "«q»", "‘q’", " !", "! !", "a!b", "?!", "$", "$$", "^_^", ":-)", "*b*", "\\n", "%s%d\\0",
    "éèê", "e\u0301", "e\u0301e\u0301", "\u0301", "a\u0301\u0302\u0303", "Å A\u030a", "ﬁ ﬂ ﬀ", "ß ẞ", "İ i̇ ı I", "Straße", "ÀÉÎ", "naïve", "café", "CAFÉ", "ñ n\u0303", "Ω Ω", "K K", "ſ", "ŉ", "ǅ", "ŒUVRE", "ÇA VA",
    "Привет, мир", "МОСКВА", "Γειά σου", "ΣΊΣΥΦΟΣ", "שלום", "שָׁלוֹם", "مرحبا", "مَرْحَبًا", "abc שלום def", "\u202eabc", "\u200fabc\u200e", "नमस्ते", "ประเทศไทย", "ภาษาไทย 123", "中文", "你好，世界！", "日本語のテキスト", "カタカナ", "ひらがな", "한국어", "한국어", "𠮷野家", "漢字kanji漢字", "中 文", "。、「」", "ﾊﾝｶｸ", "ＦＵＬＬ", "ქართული", "Հայերեն", "አማርኛ", "தமிழ்", "မြန်မာ", "ខ្មែរ",
    "😀", "😀😀", "a😀b", "😀 a", "👍🏽", "👨‍👩‍👧‍👦", "👩‍🚀", "🏳️‍🌈", "🇮🇹", "🇮🇹🇫🇷", "1️⃣", "❤️", "❤", "☺️", "🧑🏿‍🤝‍🧑🏻", "™", "©®", "→←", "∑∫√", "≠≤≥", "♥♦", "𝕳𝖊𝖑𝖑𝖔", "𝒜", "\U0001F9FF", "\U000E0061", "\u20e3", "\ufe0f", "\u200d",
    "\x00", "a\x00b", "\x01\x02", "\x7f", "\x80\x81", "\ufffd", "\ufffd\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "\U000f0000", "\u0378",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|startoftext|>", "a<|endoftext|>b", " <|im_end|> ", "<|im_start|>user\nhi<|im_end|>\n", "<|im_start", "|im_end|>", "<| im_end |>", "<|IM_END|>", "<|EndOfText|>", "<|endoftext|><|endoftext|>", "<repo_name>x<file_sep>y", "<empty_output>", "<reponame>", "<jupyter_code>print(1)<jupyter_output>1", "<s></s>", "[INST]", "<unk>", "<pad>", "a</w>", "</w>", "Ġ", "Ċ", "aĠb", "ĠĠ", "Ã©",
    "def f(x):\n    return x\n", "def f(x):\n\treturn x", "for (int i = 0; i < n; i++) {\n  a[i] += 1;\n}", "if(x){y();}else{z();}", "SELECT * FROM t WHERE a='b';", "#include <stdio.h>", "x = {'a': 1, \"b\": [2, 3]}", "<div class=\"x\">&nbsp;</div>", "{\"k\": null}", "fn main() { println!(\"{}\", 1); }", "a\\tb\\u00e9", "    four", "        eight", "\t\ttabs", "  if x:\n      y", "x\n    y\n  z", "snake_case camelCase PascalCase kebab-case SCREAMING_CASE", "i++;--j;", "0b1010 0o17 0xFF 1_000",
    "Donaudampfschifffahrtsgesellschaft", "pneumonoultramicroscopicsilicovolcanoconiosis", "a" * 50, "ab" * 40, " " * 40, "\n" * 20, "!" * 33, "0" * 25, "é" * 20, "中" * 30, "😀" * 10, "aaaaaaaaab" * 12, "word " * 30, "x" * 300, "ha" * 100, "-" * 80, "=" * 64, "." * 17, "_" * 21, "'" * 9, "the" * 20, "ing" * 15,
    "The quick brown fox jumps over the lazy dog.", "a photo of a cat", "red apple, 3d style", "RED APPLE", "Red  Apple", "red-apple", "red_apple", "red apple!", "red apple.", "red  apple , flat style", "a picture of a red apple on a white background", "(masterpiece:1.2), best quality", "cat AND dog", "[cat|dog]", "apple's", "apple 's", "two apples & three pears", "sleeping face 😴", "&amp; &lt;b&gt;", "&#39;x&#39;", "a&b", "&amp;amp;",
]

ALPH = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "     ", "\t\n\r", ".,;:!?'\"()[]{}<>|/\\@#$%^&*-_=+~`", "éèüñçåøßœ", "абвгдежз", "αβγδ", "אבגד", "ابتث", "中文字漢語", "あいうアイウ", "한국어말", "😀👍🏽🚀❤️\u200d", "\u0301\u0308\u0327", "½²³Ⅷ①٣", "\u00a0\u3000\u2003\u200b"]
WORDS = "the of and to in is you that it he was for on are as with his they I at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part".split()


def odd(n, seed):
    r = random.Random(seed)
    out = list(dict.fromkeys(HAND))
    while len(out) < n:
        k = r.random()
        if k < 0.4:
            s = "".join(r.choice(r.choice(ALPH)) for _ in range(r.randint(1, 30)))
        elif k < 0.7:
            s = "".join(r.choice(WORDS) + r.choice([" ", " ", " ", ", ", ". ", "  ", "\n", "-", "'s ", " 12 ", ""]) for _ in range(r.randint(2, 12)))
        elif k < 0.85:
            s = "".join("".join(r.choice(a) for _ in range(r.randint(1, 6))) for a in r.sample(ALPH, 4))
        else:
            s = "".join(chr(c) for c in (r.choice([r.randint(32, 0x24F), r.randint(0x370, 0x1FFF), r.randint(0x2000, 0x2BFF), r.randint(0x3040, 0xD7FF), r.randint(0x10000, 0x1FAFF)]) for _ in range(r.randint(1, 12))))
        if s not in out and unicodedata.unidata_version:
            out.append(s)
    return out[:n]
