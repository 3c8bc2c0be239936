"""Small model files in every format that is read, and what is in them.

Versions: gguf 0.19.0, safetensors 0.8.0, onnx 1.23.2, numpy 2.4.6.
Command: BOTTEGA_JOE=.../en_US-joe-medium.onnx BOTTEGA_SMOLLM2=.../SmolLM2-135M-Instruct.Q4_1.gguf python make_formats.py
Tensors hold 0, 1, 2, ... where nothing else is said. quant_values.safetensors holds what gguf-py makes of the random
blocks in small.gguf; real_values.safetensors the first values of some tensors of the real files.
"""
import json
import os

import gguf
import numpy as np
import onnx
from gguf import GGMLQuantizationType as Q
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
os.chdir(HERE)
QUANTS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]


def arange(shape, dtype=np.float32):
    return np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)


def random_blocks(rng, q, n):
    """n blocks of random bytes whose values are finite and of moderate size."""
    block, size = gguf.GGML_QUANT_SIZES[q]
    out = []
    while len(out) < n:
        raw = rng.integers(0, 256, size, dtype=np.uint8)
        v = gguf.dequantize(raw.reshape(1, -1), q)
        if np.isfinite(v).all() and 1e-3 < np.abs(v).max() < 1e4:
            out.append(raw)
    return np.concatenate(out).reshape(2, -1)


def small_gguf():
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter("small.gguf", "test")
    w.add_uint8("t.u8", 200), w.add_int8("t.i8", -100), w.add_uint16("t.u16", 60000), w.add_int16("t.i16", -30000)
    w.add_uint32("t.u32", 4000000000), w.add_int32("t.i32", -2000000000), w.add_uint64("t.u64", 2**63 + 1)
    w.add_int64("t.i64", -2**62), w.add_float32("t.f32", 0.5), w.add_float64("t.f64", 1e300), w.add_bool("t.bool", True)
    w.add_string("t.str", "gr\u00fc\u00df dich"), w.add_string("t.empty", "")
    w.add_array("t.strs", ["a", "", "\u00e4\u00f6", "d" * 100]), w.add_array("t.ints", list(range(-5, 20)))
    w.add_array("t.floats", [0.25, -1.5]), w.add_array("t.bools", [True, False])
    w.add_string("bottega.file.sub/config.json", '{"a": 1}')
    w.add_tensor("f32", arange((2, 3, 4)))
    w.add_tensor("f16", arange((5, 7), np.float16))
    w.add_tensor("vec", arange((9,)))
    values = {}
    for name in QUANTS:
        q = getattr(Q, name)
        raw = random_blocks(rng, q, 4)
        values[name.lower()] = gguf.dequantize(raw, q)
        w.add_tensor("q." + name.lower(), raw, raw_dtype=q)
    bf = (rng.standard_normal((2, 8)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    values["bf16"] = (bf.astype(np.uint32) << 16).view(np.float32)
    w.add_tensor("q.bf16", bf.view(np.uint8).reshape(2, -1), raw_dtype=Q.BF16)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    save_file(values, "quant_values.safetensors")


def safetensors_files():
    kinds = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "i64": np.int64, "i32": np.int32, "i16": np.int16, "i8": np.int8, "u8": np.uint8}
    t = {k: arange((2, 5), d) for k, d in kinds.items()}
    t |= {"bool": np.array([True, False, True]), "scalar": np.array(7, np.float32), "none": np.zeros((0, 4), np.float32), "deep": arange((1, 2, 1, 3, 1, 2))}
    save_file(t, "small.safetensors", metadata={"format": "pt", "made": "by hand"})
    os.makedirs("sharded", exist_ok=True)
    save_file({"a": arange((2, 2)), "b": arange((3,))}, "sharded/model-00001-of-00002.safetensors")
    save_file({"c": arange((4,), np.float16)}, "sharded/model-00002-of-00002.safetensors")
    m = {"a": "model-00001-of-00002.safetensors", "b": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}
    json.dump({"metadata": {"total_size": 36}, "weight_map": m}, open("sharded/model.safetensors.index.json", "w"))
    json.dump({"architectures": ["Test"]}, open("sharded/config.json", "w"))


def pipeline_folder():
    rng = np.random.default_rng(2)
    for d in ("unet", "vae", "scheduler", "tokenizer"):
        os.makedirs("pipe/" + d, exist_ok=True)
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
             "scheduler": ["diffusers", "DDIMScheduler"], "tokenizer": ["transformers", "CLIPTokenizer"], "safety_checker": [None, None]}
    json.dump(index, open("pipe/model_index.json", "w"))
    json.dump({"n": 1}, open("pipe/unet/config.json", "w"))
    json.dump({"n": 2}, open("pipe/vae/config.json", "w"))
    json.dump({"n": 3}, open("pipe/scheduler/scheduler_config.json", "w"))
    open("pipe/tokenizer/merges.txt", "w").write("#version: 0.2\na b\n")
    g = lambda *s: rng.standard_normal(s).astype(np.float16)
    unet = {"conv_in.weight": g(32, 4, 3, 3), "conv_in.bias": g(32), "mid.conv1.weight": g(8, 32, 3, 3), "mid.conv1.bias": g(8),
            "mid.odd.weight": g(8, 20, 3, 3), "mid.proj.weight": g(16, 64), "mid.narrow.weight": g(16, 24), "mid.norm.weight": g(32),
            "mid.shortcut.weight": g(16, 32, 1, 1)}
    save_file(unet, "pipe/unet/diffusion_pytorch_model.safetensors")
    save_file({"decoder.conv_out.weight": g(3, 32, 3, 3).astype(np.float32)}, "pipe/vae/diffusion_pytorch_model.safetensors")


def small_onnx():
    t = lambda name, shape, dtype=np.float32: nh.from_array(arange(shape, dtype), name)
    floats = h.make_tensor("/x/Typed_floats", T.FLOAT, [2, 2], [0, 1, 2, 3])
    init = [t("onnx::Conv_1", (4, 3, 5)), t("dec.ups.0.bias", (2,)), t("dec.ups.0.weight", (4, 2, 6)), t("onnx::MatMul_2", (3, 4)),
            t("onnx::Gemm_3", (2, 3)), t("onnx::Gemm_4", (2, 3)), t("77", (4,)), t("onnx::Mul_5", (4,)), t("sid", (6, 4)),
            h.make_tensor("ints", T.INT64, [3], [0, 1, -2]), h.make_tensor("bytes", T.UINT8, [2], [7, 255]), floats,
            h.make_tensor("halves", T.FLOAT16, [2], [0.5, -2.0]), h.make_tensor("doubles", T.DOUBLE, [2], [0.5, -2.0]),
            nh.from_array(np.exp(-np.array([[0.5], [-0.25]], np.float32)), "/dp/flows.0/Exp_output_0")]
    n = h.make_node
    nodes = [
        n("Constant", [], ["/c/Constant_output_0"], name="/c/Constant", value=h.make_tensor("", T.FLOAT, [2], [0, 1])),
        n("Gather", ["sid", "input"], ["e"], name="/enc_p/emb/Gather"),
        n("Conv", ["x0", "onnx::Conv_1", "77"], ["x1"], name="/flow/flows.6/enc/in_layers.0/Conv", dilations=[2], pads=[4, 4], strides=[1], group=1, kernel_shape=[5]),
        n("ConvTranspose", ["x1", "dec.ups.0.weight", "dec.ups.0.bias"], ["x2"], name="/dec/ups.0/ConvTranspose", strides=[3], pads=[1, 2]),
        n("ConvTranspose", ["x1", "dec.ups.0.weight", "dec.ups.0.bias"], ["x3"], name="/dec/ups.1/ConvTranspose", strides=[3]),
        n("MatMul", ["x3", "onnx::MatMul_2"], ["x4"], name="/lin/MatMul"),
        n("Gemm", ["x4", "onnx::Gemm_3", "77"], ["x5"], name="/gemm_a/Gemm", transB=1),
        n("Gemm", ["x5", "onnx::Gemm_4"], ["x6"], name="/gemm_b/Gemm"),
        n("Mul", ["x6", "onnx::Mul_5"], ["x7"], name="/enc_p/norm_1.0/Mul_1"),
        n("Mul", ["x7", "/dp/flows.0/Exp_output_0"], ["x8"], name="/dp/flows.0/Mul"),
        n("Add", ["x8", "/x/Typed_floats"], ["output"], name="/Add"),
    ]
    vi = lambda name: h.make_tensor_value_info(name, T.FLOAT, None)
    m = h.make_model(h.make_graph(nodes, "g", [vi("input"), vi("x0")], [vi("output")], init))
    m.metadata_props.add(key="sample_rate", value="22050")
    onnx.save(m, "small.onnx")
    json.dump({"audio": {"sample_rate": 22050}}, open("small.onnx.json", "w"))


def real_values():
    out = {}
    g = onnx.load(os.environ["BOTTEGA_JOE"]).graph
    init = {i.name: nh.to_array(i) for i in g.initializer}
    out["joe:enc_p.emb.weight"] = init["sid"]
    out["joe:dp.flows.0.logs"] = -np.log(init["/dp/flows.0/Exp_output_0"])
    for m in ["flow.flows.6.enc.in_layers.0", "flow.flows.0.enc.res_skip_layers.3", "dec.ups.0", "dec.conv_pre", "enc_p.encoder.attn_layers.0.conv_q", "dp.flows.7.convs.convs_sep.2"]:
        kind = "ConvTranspose" if "ups" in m else "Conv"
        node = next(n for n in g.node if n.op_type == kind and n.name.strip("/").rsplit("/", 1)[0].replace("/", ".") == m)
        out[f"joe:{m}.weight"], out[f"joe:{m}.bias"] = init[node.input[1]], init[node.input[2]]
    for t in gguf.GGUFReader(os.environ["BOTTEGA_SMOLLM2"]).tensors:
        if t.name in ("token_embd.weight", "blk.0.attn_q.weight", "blk.29.ffn_down.weight", "output_norm.weight"):
            out["smollm2:" + t.name] = gguf.dequantize(t.data[:1] if t.data.ndim > 1 else t.data, t.tensor_type)
    shapes = {k: list(v.shape) for k, v in out.items()}
    save_file({k: np.ascontiguousarray(v.reshape(-1)[:64].astype(np.float32)) for k, v in out.items()}, "real_values.safetensors")
    print(shapes)


small_gguf(), safetensors_files(), pipeline_folder(), small_onnx(), real_values()
