"""prompts.json: what A1111's own parser makes of prompts: weights, texts by step, clauses of AND.

The parser is not in this repository (its licence is the AGPL): the argument names its file, modules/prompt_parser.py of
stable-diffusion-webui 1.10 (with [prompt] alternatives that may be empty and [WHITESPACE] behind a number). The cases are
ours, written from what its documentation says. Versions: lark 1.3.1, Python 3.11.
Command: python make_prompts.py <prompt_parser.py>
"""
import importlib.util
import random
import sys
import types

from golden_common import save_json, versions

sys.modules.setdefault("torch", types.ModuleType("torch"))  # the parser imports it and needs none of it here
spec = importlib.util.spec_from_file_location("prompt_parser", sys.argv[1])
A = importlib.util.module_from_spec(spec)
spec.loader.exec_module(A)

WEIGH = [
    "", " ", "red apple", "(red) apple", "((red)) apple", "(((red))) apple", "[red] apple", "[[red]] apple", "(red:1.3) apple", "a (red:0.5), a (blue:2) one",
    "(a (b) c)", "(a [b] c)", "[a (b) c]", "(a (b:1.5) c:0.8)", "((a:1.2):1.2)", "((a:1.2) b)", "(a:1.2", "(a", "((a", "[a", "[[a (b", "a)", "a]", "a))", "])a",
    "(a))", "[a]]", "(a]", "[a)", "(a [b) c]", "\\(a\\)", "\\[a\\]", "a \\\\ b", "a\\", "\\a \\b", "(\\(a\\):1.4)", "(\\)a)", "\\((a)\\)", "a:1.2", "a:1.2)", "(a:1.2)b)", "(a:)",
    "(a: 1.3 )", "(a : 1.3)", "(a:+1.3)", "(a:-1.3)", "(a:-0)", "(a:0)", "(a:.5)", "(a:5.)", "(a:1)", "(a:1.0) b", "(a:b)", "(a:b:1.2)", "(a:1.2:1.3)", "(a:1.2x)", "(a:1e2)",
    "a, b, c", "(a), (b), (c)", "(a)(b)", "(a)[b]", "[a][b]", "()", "[]", "(())", "(:1.5)", "( )", "(a)()", "a()b",
    "a BREAK b", "aBREAK b", "a BREAKb", "a,BREAK,b", "BREAK", "BREAK BREAK", " BREAK a", "a BREAK ", "a\nBREAK\nb", "(a BREAK b)", "(a BREAK b:1.2)", "a (BREAK) b", "[BREAK]", "break a",
    "a BREAK BREAK b", "(a) BREAK (b:1.3)", "BREAK_ a", "a_BREAK", "a\u00e9BREAK b", "a\u3000BREAK\u3000b", "BREAK:1.2", "a :BREAK) b",
    "a photo of a (sunset:1.15) over [the sea], (((waves))), best", "na\u00efve (caf\u00e9:1.2)", "\u732b (\u72ac:1.2)", "(a:1.1)(b:1.1)", "((a)) ((b))", "(a:99999)", "((((((((a))))))))", "[[[[[[[[a]]]]]]]]",
    "(a\nb:1.2)\nc", "a|b", "{a|b}", "<a:1.2>", "(masterpiece, best quality:1.2), [blurry], \\(cat\\)", "(a,(b,(c:1.1):1.1):1.1)", "(\u00b2:1.2)", "a:(b:1.2):c", "((a:0.5)b[c:d]e)",
]
TURNS = [
    "", "red apple", "[cat:dog:3]", "[cat:dog:0.5]", "[cat:dog:.5]", "[cat:dog:1]", "[cat:dog:1.]", "[cat:dog:0]", "[cat:dog:0.0]", "[cat:dog:99]", "[cat:dog:-2]", "[cat:dog:-.5]", "[cat:dog:+4]", "[cat:dog:3e0]",
    "[cat:dog:2.5]", "[cat:dog:0.05]", "[cat:dog:0.999]", "[dog:4]", "[dog:0.4]", "[cat::4]", "[cat::0.4]", "[::4]", "[:4]", "[:cat:4]", "a [red:green:2] [cat:dog:4] here", "a[red:green:4]b[cat:dog:2]c", "x [a:b:3] y [c:d:3] z",
    "[cat:dog: 3]", "[cat:dog:3 ]", "[cat:dog: 3 ]", "[cat : dog : 3]", "[cat:dog:\n3\n]", "[ cat: dog:3]", "[a\u00a0b:c:\u00a03]", "[cat:dog:three]", "[cat:dog:3x]", "[cat:dog:]", "[cat:dog:1e]", "[cat:dog:.]", "[cat:dog:1.2.3]", "[cat:dog:0x3]",
    "[cat|dog]", "[cat|dog|bird]", "[cat|]", "[|cat]", "[|]", "[a||b]", "[a|b|]", "a [red|green] [cat|dog] z", "[[cat|dog]|bird]", "[cat|[dog|bird]]", "[(cat:1.2)|dog]", "[cat|(dog)]", "[ cat | dog ]", "a [b|c] d [e:f:3] g",
    "[a:[b:c:4]:2]", "[[a:b:2]:c:4]", "[[a:b:4]:c:2]", "[a:[b|c]:3]", "[[a|b]:c:3]", "[[a:b:3]|c]", "[a|[b:c:3]]", "[a|[b::3]]", "[[[[a:b:1]:c:2]:d:3]:e:4]", "[a:b [c:d:4] e:2]", "([a:b:3])", "([a:b:3]:1.2)", "((a [b:c:3]) d:1.3)", "[[a:b:3]]", "[a [b:c:3] d]",
    "[(a:1.2):(b:1.3):3]", "[(a:b):c:3]", "[a:(b:c):3]", "[a:b (c:1.2) d:0.5]", "(a:[b:c:3])", "(a [b|c]:1.3)", "(x:[a|b]:y)", "(a:b:c) [x:y:2]", "(x) [a:b:3]: (y)", "note: [a:b:3]", "[a:b:3], note: x",
    "[a:b:c:3]", "[a:b:c:d:3]", "[a:b|c:3]", "[a|b:3]", "a|b", "[a|b", "a|b]", "x [a:b:3] | y", "(a|b)", "[(a|b):c:3]", "[(a|b)|c]", "[a:b:3", "a:b:3]", "[a:b 3]", "[a", "a]", "(a", "a)", "[]", "()", "[[]]", "[:]", "[a:]", "[:a]", ":", "::", "a:b", "a: b",
    "\\[a:b:3\\]", "\\[a:b:3]", "[a\\:b:c:3]", "[a:b\\:3]", "[a\\|b|c]", "[a\\]:b:3]", "[\\(a:b\\):3]", "a\\\\ [b:c:3]", "a\\", "[a:b:3] \\", "a\\\nb [c:d:3]", "\\a [b:c:3]", "\u00e9\\\u00e9 [a:b:3]", "[\u732b:\u72ac:3]", "[\u732b|\u72ac]\u3067", "[a\nb:c:3]\nd",
    "{a|b}", "a {b:c} [d:e:3]", "<x:1> [a:b:3]", "[a:b:3]BREAK[c:d:4]", "[a AND b:c:3]", "a landscape with [hills:a castle:0.3], [clouds::0.6] [at night:0.8]", "[1:2:3]", "[1:2]", "[3]", "[.5]", "[a:b:003]", "[a:b:3.0e0]", "[a:b:5e-1]", "[a:b:.5e1]",
    "[[a|b]|[c|d|e]]", "[a|b][c|d|e]", "[a:b:2][c:d:2]", "[a:[c:d:.3]:.6]", "[x:[a|b|c]:.5]", "[a: :3]", "[ : :3]", "[a:b:3] [c", "(c [a:b:3]", "[a:b:3] (c", "[[a:b:3]", "[a:b:3]]", "((([a:b:3])))",
]
SECOND = ["[a:b:12]", "[a:b:10]", "[a:b:11]", "[a:b:15]", "[a:b:16]", "[a:b:99]", "[a:b:1.5]", "[a:b:1.01]", "[a:b:1.0]", "[a:b:2.0]", "[a:b:1.99]", "[a:b:13.5]", "[a:b:12][c:d:.5][e:f:1.5]", "[a|b][c:d:14]"]
CLAUSES = [
    "", "a cat", "a cat AND a dog", "a cat :1.2 AND a dog", "a cat:1.2 AND a dog:0.5", "a cat : 1.2 AND a dog : -0.5", "a AND b AND c", "a :0.2 AND b :0.3 AND c :0.5", "AND", "a AND", "AND a", "a AND AND b", "a ANDb", "aAND b", "a and b", "aANDb", "a,AND,b", "a.AND.b",
    "a_AND b", "a AND_ b", "a\nAND\nb", "a\u00e9AND b", "a \u732bAND b", "a:1", "a:1.", "a:.5", "a:+2", "a:-2", "a: 2 ", "a :2\n", "a:1.2.3", "a:1:2", "a::2", "a : : 2", "a:2:", "a:b", "a:2b", "a:1e2", ":2", " :2", "  ", " a ", "a 2", "a:--2", "a:+-2", "a:-", "a:.", "a:2 b", "a (b:1.2)", "a (b:1.2):0.7", "[a:b:3]", "[a:b:3] :0.5 AND c",
    "a\nb:2", "a\n\nb", "a\u00a0:\u00a02", "a \\AND b", "(a AND b:1.2)", "same AND same", "same :1 AND same :2", "a:0", "a:000.50", "a:2\u3000AND b",
]


def texts(n, seed):
    """Prompts of every form, and some with a character too much or too little."""
    r = random.Random(seed)

    def gen(d):
        k = r.random()
        if d == 0 or k < .3:
            return r.choice(["a", "b c", "x ", " ", "", "\\(", "d, ", "BREAK", " AND "])
        if k < .45:
            return "(" + gen(d - 1) + r.choice(["", ":1.2", ":0.7"]) + ")"
        if k < .55:
            return "[" + gen(d - 1) + "]"
        if k < .75:
            return "[" + r.choice(["", gen(d - 1) + ":"]) + gen(d - 1) + ":" + r.choice(["", "", " "]) + r.choice(["3", ".4", "4", "0.25", "x"]) + "]"
        if k < .85:
            return "[" + "|".join(gen(d - 1) for _ in range(r.randint(2, 4))) + "]"
        return gen(d - 1) + gen(d - 1)
    out = set()
    while len(out) < n:
        s = gen(3)
        if r.random() < .4 and s:
            i = r.randrange(len(s))
            s = s[:i] + r.choice(["[", "]", ":", "|", "", "(", ")", "))", "]:"]) + s[i + r.randrange(2):]
        if s and len(s) < 60:
            out.add(s)
    return sorted(out)


def clauses(s):
    indexes, flat, _ = A.get_multicond_prompt_list([s])
    return [[flat[i], w] for i, w in indexes[0]]


STEPS = 6
more = texts(220, 1)
save_json("prompts", {
    "versions": versions("lark"), "steps": STEPS,
    "weigh": [[s, A.parse_prompt_attention(s)] for s in WEIGH + more],
    "turns": [[s, A.get_learned_conditioning_prompt_schedules([s], STEPS)[0]] for s in TURNS + more],
    "second": [[s, A.get_learned_conditioning_prompt_schedules([s], 10, STEPS)[0]] for s in TURNS + SECOND],
    "clauses": [[s, clauses(s)] for s in CLAUSES + more],
})
print(len(WEIGH), len(TURNS), len(CLAUSES), "cases written,", len(more), "drawn")
