"""Reads a Llama GGUF for the make_*.py scripts: a transformers LlamaForCausalLM in float32 and a fast tokenizer."""
import gguf
import numpy as np
from gguf.quants import dequantize


def reader(path):
    r = gguf.GGUFReader(path)
    return r, {k: f.contents() for k, f in r.fields.items()}


def unpermute(w, heads):
    """Undo convert_hf_to_gguf's permute: rows (pair j, half) back to (half, j); llama.cpp rotates neighbours, transformers halves."""
    n = w.shape[0] // heads
    return w.reshape(heads, n // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def llama(path, attn="eager"):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    r, kv = reader(path)
    h, hk = kv["llama.attention.head_count"], kv["llama.attention.head_count_kv"]
    tensors = {t.name: t for t in r.tensors}
    tied = "output.weight" not in tensors
    cfg = LlamaConfig(vocab_size=int(tensors["token_embd.weight"].shape[1]), hidden_size=kv["llama.embedding_length"], intermediate_size=kv["llama.feed_forward_length"],
                      num_hidden_layers=kv["llama.block_count"], num_attention_heads=h, num_key_value_heads=hk, max_position_embeddings=kv["llama.context_length"],
                      rms_norm_eps=kv["llama.attention.layer_norm_rms_epsilon"], rope_parameters={"rope_type": "default", "rope_theta": kv.get("llama.rope.freq_base", 10000.0)},
                      tie_word_embeddings=tied, attention_bias=False, bos_token_id=kv.get("tokenizer.ggml.bos_token_id"), eos_token_id=kv.get("tokenizer.ggml.eos_token_id"))
    cfg._attn_implementation = attn
    m = LlamaForCausalLM(cfg).float().eval()
    sd = {}
    for n, t in tensors.items():
        w = np.array(dequantize(t.data, t.tensor_type), dtype=np.float32)
        w = w.reshape(tuple(reversed([int(v) for v in t.shape])))
        if n == "token_embd.weight":
            sd["model.embed_tokens.weight"] = w
        elif n == "output_norm.weight":
            sd["model.norm.weight"] = w
        elif n == "output.weight":
            sd["lm_head.weight"] = w
        else:
            _, i, part, _ = n.split(".")
            if part == "attn_q":
                w = unpermute(w, h)
            if part == "attn_k":
                w = unpermute(w, hk)
            sd[f"model.layers.{i}.{NAMES[part]}.weight"] = w
    if tied:
        sd["lm_head.weight"] = sd["model.embed_tokens.weight"]
    missing = m.load_state_dict({k: torch.from_numpy(v) for k, v in sd.items()}, strict=False)
    assert not missing.unexpected_keys and not [k for k in missing.missing_keys if "rotary" not in k], missing
    return m, kv


def smollm_tokenizer(kv):
    """The pre-tokenizer named "smollm": each digit alone, then GPT-2's byte-level regex; no normalizer, no prefix space, no BOS."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    toks, types = kv["tokenizer.ggml.tokens"], kv["tokenizer.ggml.token_type"]
    merges = [tuple(m.split(" ")) for m in kv["tokenizer.ggml.merges"]]
    tk = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(toks)}, merges=merges))
    tk.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tk.decoder = decoders.ByteLevel()
    plain = Tokenizer.from_str(tk.to_str())  # special texts are ordinary text here
    tk.add_special_tokens([AddedToken(t, normalized=False, special=True) for t, y in zip(toks, types) if y == 3])
    others = [t for t, y in zip(toks, types) if y not in (1, 3)]
    return tk, plain, others
