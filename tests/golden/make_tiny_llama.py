"""tiny-llama-tied.gguf, tiny-llama-untied.gguf, tiny_llama.safetensors/.json: random Llama files and their logits.

Versions: gguf 0.19.0, transformers 5.23.0 (eager attention), torch 2.15.0. Seed: np.random.default_rng(7).
Command: python make_tiny_llama.py
tied: F16, 2 layers, width 64, 4 heads of 16 over 2 key-value heads, FFN 96, no output.weight, rope base 10000.
untied: Q8_0, F16 and F32 mixed, 3 layers, width 64, 8 heads of 8 over 1, FFN 96, output.weight, rope base 50000, add_bos true,
no llama.rope.dimension_count, no llama.vocab_size. Both: gpt2 tokenizer with the 256 byte characters, 8 merges, 3 control tokens.
"""
import os

import gguf
import numpy as np
from gguf.quants import quantize

from golden_common import HERE, save, torch_setup, versions
from gguf_models import llama, smollm_tokenizer, unpermute

torch = torch_setup()
rng = np.random.default_rng(7)
bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
cs = [chr(b) for b in bs] + [chr(256 + i) for i in range(256 - len(bs))]
MERGES = ["t h", "th e", "Ġ the", "i n", "Ġ a", "e r", "Ġ Ġ", "o n"]
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + cs + [m.replace(" ", "") for m in MERGES]
V = len(TOKENS)


def write(name, L, D, H, K, F, base, tied, kind, bos):
    p = os.path.join(HERE, name)
    w = gguf.GGUFWriter(p, "llama")
    w.add_name(name)
    w.add_block_count(L), w.add_context_length(128), w.add_embedding_length(D), w.add_feed_forward_length(F)
    w.add_head_count(H), w.add_head_count_kv(K), w.add_layer_norm_rms_eps(1e-5), w.add_rope_freq_base(base)
    if tied:
        w.add_rope_dimension_count(D // H), w.add_vocab_size(V)
    w.add_file_type(1 if tied else 7)
    w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("smollm"), w.add_token_list(TOKENS), w.add_token_types([3] * 3 + [1] * (V - 3)), w.add_token_merges(MERGES)
    w.add_bos_token_id(1), w.add_eos_token_id(2), w.add_pad_token_id(2), w.add_unk_token_id(0), w.add_add_bos_token(bos)

    def put(n, shape, q, scale=1.0):
        a = (rng.standard_normal(shape) * scale).astype(np.float32)
        if len(shape) == 1:
            a = (1 + 0.1 * a).astype(np.float32)
            w.add_tensor(n, a)
        elif q == "F16":
            w.add_tensor(n, a.astype(np.float16))
        elif q == "F32":
            w.add_tensor(n, a)
        else:
            t = gguf.GGMLQuantizationType.Q8_0
            w.add_tensor(n, quantize(a, t), raw_dtype=t)
    hd = D // H
    put("token_embd.weight", (V, D), "F16", 0.5)
    for i in range(L):
        b = f"blk.{i}."
        put(b + "attn_norm.weight", (D,), None)
        for t, s in (("attn_q", (H * hd, D)), ("attn_k", (K * hd, D)), ("attn_v", (K * hd, D)), ("attn_output", (D, H * hd)), ("ffn_gate", (F, D)), ("ffn_up", (F, D)), ("ffn_down", (D, F))):
            put(b + t + ".weight", s, "F16" if kind == "F16" else ("F32" if t == "attn_k" else "Q8_0"), (2.0 if t in ("attn_q", "attn_k") else 1.0) / s[1] ** 0.5)
        put(b + "ffn_norm.weight", (D,), None)
    put("output_norm.weight", (D,), None)
    if not tied:
        put("output.weight", (V, D), "F16", 1.0 / D ** 0.5)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    print(p, os.path.getsize(p))
    return p


out, side = {}, {"texts": ["the thin one  and the other 12", "é in <|im_end|> on"], "versions": versions("torch", "transformers", "numpy"), "files": {}}
for name, args in {"tied": (2, 64, 4, 2, 96, 10000.0, True, "F16", False), "untied": (3, 64, 8, 1, 96, 50000.0, False, "mixed", True)}.items():
    fn = f"tiny-llama-{name}.gguf"
    p = write(fn, *args)
    m, kv = llama(p)
    tk, _, _ = smollm_tokenizer(kv)
    side["files"][name] = {"file": fn, "add_bos": args[-1]}
    for i, t in enumerate(side["texts"]):
        ids = ([1] if args[-1] else []) + tk.encode(t, add_special_tokens=False).ids
        lg = m(torch.tensor([ids])).logits[0]
        out[f"{name}.t{i}.ids"], out[f"{name}.t{i}.logits"] = torch.tensor(ids, dtype=torch.int32), lg
        v = torch.nn.functional.cross_entropy(lg[:-1].double(), torch.tensor(ids[1:]), reduction="sum")
        out[f"{name}.t{i}.nll"] = np.float64([v.item()])
    ids = out[f"{name}.t0.ids"].tolist()
    new = []
    for _ in range(100 - len(ids)):
        new.append(int(m(torch.tensor([ids + new])).logits[0, -1].argmax()))
    out[f"{name}.greedy"] = torch.tensor(new, dtype=torch.int32)
    full = m(torch.tensor([ids + new])).logits[0]
    out[f"{name}.greedy_last_logits"] = full[-1]
    g = full[len(ids) - 1:-1].topk(2).values
    print(name, len(ids), "ids; smallest greedy gap", float((g[:, 0] - g[:, 1]).min()), "logit std", float(full.std()))

    # the same in plain numpy with llama.cpp's order of rotation (neighbours), not through transformers
    r = gguf.GGUFReader(p)
    W = {t.name: np.array(gguf.quants.dequantize(t.data, t.tensor_type), dtype=np.float64).reshape(tuple(reversed([int(v) for v in t.shape]))) for t in r.tensors}
    L, D, H, K, F, base = args[:6]
    hd = D // H
    norm = lambda x, g: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * g
    x = W["token_embd.weight"][ids]
    n = len(ids)
    ang = np.arange(n)[:, None] * base ** (-np.arange(0, hd, 2) / hd)[None]

    def rope(q):
        a, b = q[..., 0::2], q[..., 1::2]
        c, s = np.cos(ang)[:, None], np.sin(ang)[:, None]
        o = np.empty_like(q)
        o[..., 0::2], o[..., 1::2] = a * c - b * s, a * s + b * c
        return o
    for i in range(L):
        w_ = lambda t: W[f"blk.{i}.{t}.weight"]
        h = norm(x, w_("attn_norm"))
        q, k, v = [(h @ w_(t).T).reshape(n, -1, hd) for t in ("attn_q", "attn_k", "attn_v")]
        q, k = rope(q), rope(k)
        o = np.empty_like(q)
        for j in range(H):
            s = q[:, j] @ k[:, j * K // H].T / np.sqrt(hd)
            s[np.triu_indices(n, 1)] = -np.inf
            s = np.exp(s - s.max(1, keepdims=True))
            o[:, j] = s / s.sum(1, keepdims=True) @ v[:, j * K // H]
        x = x + o.reshape(n, -1) @ w_("attn_output").T
        h = norm(x, w_("ffn_norm"))
        g = h @ w_("ffn_gate").T
        x = x + (g / (1 + np.exp(-g)) * (h @ w_("ffn_up").T)) @ w_("ffn_down").T
    lg = norm(x, W["output_norm.weight"]) @ W.get("output.weight", W["token_embd.weight"]).T
    print(name, "numpy doubles against transformers:", np.abs(lg - out[f"{name}.t0.logits"].numpy()).max())
save("tiny_llama", out, side)
