# SPDX-License-Identifier: MIT
"""A random Llama of TinyLlama's dimensions (1.1B) as a float16 GGUF, for llama-quantize.

usage: make_llama.py VOCABULARY.gguf OUT.gguf
The tokenizer and its 49,152 entries are those of VOCABULARY (SmolLM2's byte-level BPE), cut to the 32,000 rows of TinyLlama.
Needs gguf and numpy.
"""
import sys

import gguf
import numpy as np

LAYERS, WIDTH, INNER, HEADS, KV_HEADS, VOCAB, CONTEXT = 22, 2048, 5632, 32, 4, 32000, 8192


def tokenizer(w, source):
    fields = {k: f.contents() for k, f in gguf.GGUFReader(source).fields.items() if k.startswith("tokenizer.ggml.")}
    tokens = fields["tokenizer.ggml.tokens"][:VOCAB]
    known = set(tokens)
    merges = [m for m in fields["tokenizer.ggml.merges"] if m.replace(" ", "") in known and set(m.split(" ")) <= known]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(fields["tokenizer.ggml.pre"])
    w.add_token_list(tokens)
    w.add_token_types(fields["tokenizer.ggml.token_type"][:VOCAB])
    w.add_token_merges(merges)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(False)


def main():
    source, out = sys.argv[1:3]
    rng = np.random.default_rng(11)
    w = gguf.GGUFWriter(out, "llama")
    w.add_name("random 1.1B")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(INNER)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(WIDTH // HEADS)
    w.add_rope_freq_base(10000.0)
    w.add_vocab_size(VOCAB)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    tokenizer(w, source)

    def matrix(rows, cols):
        return (rng.standard_normal((rows, cols), dtype=np.float32) * cols ** -0.5).astype(np.float16)

    ones, kv = np.ones(WIDTH, np.float32), WIDTH // HEADS * KV_HEADS
    w.add_tensor("token_embd.weight", matrix(VOCAB, WIDTH))
    w.add_tensor("output_norm.weight", ones)
    w.add_tensor("output.weight", matrix(VOCAB, WIDTH))
    for i in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{i}.{name}.weight", ones)
        for name, rows, cols in (("attn_q", WIDTH, WIDTH), ("attn_k", kv, WIDTH), ("attn_v", kv, WIDTH), ("attn_output", WIDTH, WIDTH),
                                 ("ffn_gate", INNER, WIDTH), ("ffn_up", INNER, WIDTH), ("ffn_down", WIDTH, INNER)):
            w.add_tensor(f"blk.{i}.{name}.weight", matrix(rows, cols))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main()
