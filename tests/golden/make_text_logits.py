"""text_logits.safetensors/.json: SmolLM2-135M-Instruct Q4_1, weights dequantized by gguf-py, computed in float32 by transformers.

Versions: gguf 0.19.0, transformers 5.23.0 (eager attention), torch 2.15.0, tokenizers 0.23.3. No seeds: nothing is random.
Command: BOTTEGA_SMOLLM2=<SmolLM2-135M-Instruct.Q4_1.gguf> python make_text_logits.py
Second use: tiny Llama files, see make_tiny_llama.py.
"""
import numpy as np

from golden_common import model, save, torch_setup, versions
from gguf_models import llama, smollm_tokenizer

torch = torch_setup()
torch.set_num_threads(2)
P = model("BOTTEGA_SMOLLM2")
m, kv = llama(P)
tk, _, others = smollm_tokenizer(kv)
assert not others

TEXTS = {
    "english": "The old lighthouse keeper climbed the narrow stairs every evening at 6:30, counting each of the 199 steps aloud. From the gallery he could see the ferry returning across the bay, its windows glowing, and he wondered who was coming home tonight.",
    "code": "static int cmp(const void *a, const void *b)\n{\n    const int x = *(const int *)a, y = *(const int *)b;\n    return (x > y) - (x < y);\n}\n\nint main(void)\n{\n\tint v[] = {3, 1, 2};\n\tqsort(v, 3, sizeof v[0], cmp);\n\treturn 0;\n}\n",
    "unicode": "Caffè a Napoli costa 1,20 €; в Москве — 250 ₽. 東京では五百円です。 مرحبا 👩‍🚀🚀 naïve façade… ½ ≠ ⅓",
}
LONG = """A bakery is a small theatre. At three in the morning the lights go on, the oven begins to tick as it warms, and the first batch of dough, mixed the night before, is turned out on the table. It has doubled in size and smells faintly sour. The baker cuts it into pieces of about 500 grams, weighs each one, and folds the edges under to make a tight ball. Nothing is hurried, because hurried dough tears.

By four the first loaves are in. Steam fills the oven for the opening ten minutes, so that the crust stays soft while the bread rises; then the vents are opened and the heat does its work. A loaf is ready when it sounds hollow: the baker turns it over, knocks on the base with a knuckle and listens. People think that this is folklore, but it is only physics. A wet crumb damps the sound, and a dry one rings.

At five the apprentice arrives, late as usual, with wet hair and an excuse about the bus. He is nineteen and has been here for two years. He knows how to shape a baguette, how to score it with four quick cuts, and how to apologise. "The 42 did not come," he says. "It never does," says the baker, and hands him an apron. They work side by side without talking much. There is flour in the air, on the radio, and on the photograph of the baker's grandmother, who opened the shop in 1951 with a borrowed oven and a great deal of stubbornness.

The shop opens at seven. The first customer is always the same: a retired teacher who buys one small rye loaf and one croissant, pays with exact change, and says that the croissants were better last year. She has said so for eleven years. If she is right, then they must once have been extraordinary. The baker thanks her every time, because a customer who complains every day is a customer who comes every day.

When the shelves are empty, usually before noon, the two of them sweep the floor, feed the starter, and set out the bowls for the night. The baker writes the next day's numbers on the board: 120 rolls, 60 loaves, 40 croissants, 2 cakes. Then he turns off the lights, and the theatre is dark until three."""
PROMPTS = ["The capital of France is", "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n"]
cols = torch.from_numpy(np.linspace(0, 49151, 64).astype(np.int64))
out, side = {"columns": cols.to(torch.int32)}, {"texts": TEXTS, "long": LONG, "prompts": PROMPTS, "continuations": []}


def run(ids):
    return m(torch.tensor([ids])).logits[0].double()


def nll(lg, ids):
    return (torch.logsumexp(lg[:-1], 1) - lg[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0])


for n, t in TEXTS.items():
    ids = tk.encode(t, add_special_tokens=False).ids
    lg = run(ids)
    tgt = torch.tensor(ids[1:])
    out[f"{n}.ids"] = torch.tensor(ids, dtype=torch.int32)
    out[f"{n}.last_logits"] = lg[-1].float()
    out[f"{n}.argmax"] = lg.argmax(1).to(torch.int32)
    out[f"{n}.logsumexp"] = torch.logsumexp(lg, 1).float()
    out[f"{n}.target_logit"] = lg[:-1].gather(1, tgt[:, None])[:, 0].float()
    out[f"{n}.columns_logits"] = lg[:, cols].float()
    v = nll(lg, ids)
    out[f"{n}.nll"] = np.float64([v.sum().item()])
    top2 = lg.topk(2).values
    print(n, len(ids), "tokens, perplexity", v.mean().exp().item(), "smallest top-2 gap", (top2[:, 0] - top2[:, 1]).min().item())
ids = tk.encode(LONG, add_special_tokens=False).ids
lg = run(ids)
v = nll(lg, ids)
out["long.ids"], out["long.nll"], out["long.nll_each"] = torch.tensor(ids, dtype=torch.int32), np.float64([v.sum().item()]), v.float()
print("long", len(ids), "perplexity", v.mean().exp().item())
for i, p in enumerate(PROMPTS):
    ids = tk.encode(p, add_special_tokens=False).ids
    out[f"greedy{i}.prompt_ids"] = torch.tensor(ids, dtype=torch.int32)
    new, gaps = [], []
    for _ in range(32):  # no stop at the end token; the gap tells how safe each choice is
        last = run(ids + new)[-1]
        t = last.topk(2)
        new.append(int(t.indices[0]))
        gaps.append(float(t.values[0] - t.values[1]))
    out[f"greedy{i}.ids"], out[f"greedy{i}.gap"] = torch.tensor(new, dtype=torch.int32), np.float32(gaps)
    side["continuations"].append(tk.decode(new, skip_special_tokens=False))
    print(repr(side["continuations"][-1]), "smallest gap", min(gaps))
side.update(versions=versions("torch", "transformers", "tokenizers", "numpy"), bos="tokenizer.ggml.add_bos_token is false: no BOS is put before a text; bos_token_id 1 is <|im_start|>, eos_token_id 2 is <|im_end|>",
            notes="logits are float32 sums of float32 products with dequantized weights (no activation quantization); logsumexp and nll in double. Prompts are encoded with special tokens parsed.")
save("text_logits", out, side)
