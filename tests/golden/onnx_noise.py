"""Turns the two RandomNormalLike nodes of a Piper voice into inputs noise_dur and noise_flow and shows inner tensors."""
import numpy as np
import onnx
import onnxruntime as ort


class Voice:
    def __init__(self, path):
        m = onnx.load(path)
        nodes = list(m.graph.node)
        rnd = {n.name: n for n in nodes if n.op_type == "RandomNormalLike"}
        assert len(rnd) == 2, list(rnd)
        for name, new, shape in (("/dp/RandomNormalLike", "noise_dur", [1, 2, "T"]), ("/RandomNormalLike", "noise_flow", [1, "C", "F"])):
            n = rnd[name]
            assert not [a for a in n.attribute if a.name in ("mean", "scale", "seed")]
            for o in nodes:
                for i, x in enumerate(o.input):
                    if x == n.output[0]:
                        o.input[i] = new
            m.graph.node.remove(n)
            m.graph.input.append(onnx.helper.make_tensor_value_info(new, onnx.TensorProto.FLOAT, shape))
        prod = {o: n for n in m.graph.node for o in n.output}
        ceil = next(n for n in m.graph.node if n.op_type == "Ceil")
        first = next(n for n in m.graph.node if "noise_flow" in n.input)  # noise * exp(logs); then * noise_scale; then + m
        second = next(n for n in m.graph.node if first.output[0] in n.input)
        z_p = next(n for n in m.graph.node if second.output[0] in n.input and n.op_type == "Add").output[0]
        enc = next(n for n in m.graph.node if n.op_type == "Split" and n.name.startswith("/enc_p/") and n.name.count("/") == 2)
        w = ceil.input[0]
        e = prod[w]
        while e.op_type != "Exp":
            e = next(prod[i] for i in e.input if i in prod and prod[i].op_type in ("Mul", "Exp"))
        self.names = {"audio": "output", "w": w, "w_ceil": ceil.output[0], "stats": enc.input[0], "m_p": enc.output[0], "logs_p": enc.output[1], "logw": e.input[0],
                      "z_p": z_p, "z": next(n for n in m.graph.node if n.name == "/dec/conv_pre/Conv").input[0]}
        have = {o.name for o in m.graph.output}
        for v in dict.fromkeys(self.names.values()):
            if v not in have:
                m.graph.output.append(onnx.helper.make_empty_tensor_value_info(v))
        so = ort.SessionOptions()
        so.intra_op_num_threads = so.inter_op_num_threads = 1
        self.session = ort.InferenceSession(m.SerializeToString(), so, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]

    def run(self, ids, scales, seed, names, channels=192, sid=None):
        """noise: one torch generator; randn(1, 2, T), then randn(1, channels, F)."""
        import torch
        g = torch.Generator("cpu").manual_seed(seed)
        feed = {"input": np.int64([ids]), "input_lengths": np.int64([len(ids)]), "scales": np.float32(scales), "noise_dur": torch.randn(1, 2, len(ids), generator=g).numpy(), "noise_flow": np.zeros((1, channels, 1), np.float32)}
        if sid is not None:
            feed["sid"] = np.int64([sid])
        w = self.session.run([self.names["w_ceil"]], feed)[0]
        feed["noise_flow"] = torch.randn(1, channels, max(1, int(w.sum())), generator=g).numpy()
        return dict(zip(names, self.session.run([self.names[n] for n in names], feed))), feed
