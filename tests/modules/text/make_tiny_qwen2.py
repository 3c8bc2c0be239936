"""tiny-qwen2.gguf, tiny_qwen2.safetensors: a random Qwen2 file (biases, rotary halves, linear rope scaling) and its logits.

Versions: gguf 0.19.0, transformers 5.23.0 (eager attention), torch 2.15.0. Seed: np.random.default_rng(9).
Command: python make_tiny_qwen2.py, with the packages of tests/golden/requirements.txt
"""
import os

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
L, D, H, K, F, V, BASE = 2, 64, 4, 2, 96, 260, 1000000.0
rng = np.random.default_rng(9)
bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
cs = [chr(b) for b in bs] + [chr(256 + i) for i in range(256 - len(bs))]

w = gguf.GGUFWriter(os.path.join(HERE, "tiny-qwen2.gguf"), "qwen2")
w.add_block_count(L), w.add_context_length(128), w.add_embedding_length(D), w.add_feed_forward_length(F)
w.add_head_count(H), w.add_head_count_kv(K), w.add_layer_norm_rms_eps(1e-6), w.add_rope_freq_base(BASE)
w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR), w.add_rope_scaling_factor(4.0)
w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("qwen2"), w.add_token_list(["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + cs + ["th"])
w.add_token_types([3] * 3 + [1] * 257), w.add_token_merges(["t h"]), w.add_eos_token_id(2)

cfg = Qwen2Config(vocab_size=V, hidden_size=D, intermediate_size=F, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=K, max_position_embeddings=128,
                  rms_norm_eps=1e-6, tie_word_embeddings=True, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": BASE})
cfg._attn_implementation = "eager"
torch.set_grad_enabled(False)
m = Qwen2ForCausalLM(cfg).float().eval()
NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
sd = {}


def put(name, torch_name, shape, scale, base=0.0):
    a = (base + rng.standard_normal(shape) * scale).astype(np.float32)
    a = a.astype(np.float16).astype(np.float32) if a.ndim > 1 else a
    w.add_tensor(name, a.astype(np.float16) if a.ndim > 1 else a)
    sd[torch_name] = torch.from_numpy(a)


put("token_embd.weight", "model.embed_tokens.weight", (V, D), 0.5)
d = D // H
for i in range(L):
    for t, shape in {"attn_q": (D, D), "attn_k": (K * d, D), "attn_v": (K * d, D), "attn_output": (D, D), "ffn_gate": (F, D), "ffn_up": (F, D), "ffn_down": (D, F)}.items():
        n = f"model.layers.{i}.{NAMES[t]}"
        put(f"blk.{i}.{t}.weight", n + ".weight", shape, 1.5 / shape[1] ** 0.5)
        if t in ("attn_q", "attn_k", "attn_v"):
            put(f"blk.{i}.{t}.bias", n + ".bias", shape[:1], 0.5)
    for t in ("attn_norm", "ffn_norm"):
        put(f"blk.{i}.{t}.weight", f"model.layers.{i}.{NAMES[t]}.weight", (D,), 0.1, 1.0)
put("output_norm.weight", "model.norm.weight", (D,), 0.1, 1.0)
w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
sd["lm_head.weight"] = sd["model.embed_tokens.weight"]
missing = m.load_state_dict(sd, strict=False)
assert not missing.unexpected_keys and not missing.missing_keys, missing
ids = rng.integers(0, V, 40)
logits = m(torch.from_numpy(ids[None])).logits[0].numpy()
save_file({"ids": ids.astype(np.int32), "logits": logits}, os.path.join(HERE, "tiny_qwen2.safetensors"))
print(float(logits.std()))
