"""tokenizer_smollm2.json: 500+ odd strings -> ids, and chat prompts, with SmolLM2's tokenizer rebuilt from the GGUF.

Versions: tokenizers 0.23.3, jinja2 3.1.6, gguf 0.19.0. Strings: odd_strings.py, random.Random(1).
Command: BOTTEGA_SMOLLM2=<SmolLM2-135M-Instruct.Q4_1.gguf> python make_tokenizer_smollm2.py
"""
import jinja2.sandbox

from golden_common import model, save_json
from gguf_models import reader, smollm_tokenizer
from odd_strings import odd

import tokenizers

_, kv = reader(model("BOTTEGA_SMOLLM2"))
tk, plain, others = smollm_tokenizer(kv)
assert not others
rows = []
for s in odd(560, 1):
    a, b = tk.encode(s, add_special_tokens=False).ids, plain.encode(s, add_special_tokens=False).ids
    row = {"text": s, "ids": b}
    if a != b:
        row["ids_special"] = a
    if plain.decode(b, skip_special_tokens=False) != s:
        row["decoded"] = plain.decode(b, skip_special_tokens=False)
        print("does not come back:", ascii(s), ascii(row["decoded"]))
    rows.append(row)
CHATS = [
    [{"role": "user", "content": "Hello!"}],
    [{"role": "system", "content": "You answer in one word."}, {"role": "user", "content": "Capital of Italy?"}],
    [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}, {"role": "user", "content": "Times 10?\nShow the steps.\n"}],
    [{"role": "system", "content": ""}, {"role": "user", "content": "  naïve 😀 text \u201cquoted\u201d  "}, {"role": "assistant", "content": "ok"}],
]
env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as transformers does
t = env.from_string(kv["tokenizer.chat_template"])
chats = []
for c in CHATS:
    for gen in (True, False):
        s = t.render(messages=c, add_generation_prompt=gen)
        chats.append({"messages": c, "add_generation_prompt": gen, "rendered": s, "ids_special": tk.encode(s, add_special_tokens=False).ids})
save_json("tokenizer_smollm2", {"versions": {"tokenizers": tokenizers.__version__, "jinja2": jinja2.__version__},
          "notes": "ids: the special tokens' texts are ordinary text; ids_special: they are parsed (only given where it differs). decoded: only where decoding does not give the text back. No BOS is ever added.",
          "strings": rows, "chats": chats, "chat_template": kv["tokenizer.chat_template"]})
print(len(rows), "strings,", sum("ids_special" in r for r in rows), "differ with special parsing")
