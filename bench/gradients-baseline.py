"""Loss and gradients of the fixtures' networks by PyTorch autograd, one command a line on stdin, one answer a line on stdout.

Arguments: the folder of the fixtures, and the file that gradients are written to. `load FIXTURE SAMPLES`: a network and its
first calibration samples. `run TIMES`: forward and backward pass; answers "MILLISECONDS LOSS", the time of all and the loss
summed over the samples. `write`: the gradients of that sum, float32, one weight after the other as golden.json lists them.
"""

import json
import struct
import sys
import time
from pathlib import Path

import numpy
import torch
from torch.nn import functional as F

PRODUCT = 512
PRODUCTS = 5
SPLINE_ORDER = 3
HEADS = 4
RMS_EPSILON = 1e-6
MASKED = -1e9

fixtures = Path(sys.argv[1])
output = Path(sys.argv[2])


def read_safetensors(path):
    """The float32 tensors of a file; the others here are BatchNorm's counters."""
    data = path.read_bytes()
    (header_length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + header_length])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = (8 + header_length + offset for offset in entry["data_offsets"])
            values = numpy.frombuffer(data[start:end], dtype="<f4").reshape(entry["shape"])
            tensors[name] = torch.from_numpy(values.copy())
    return tensors


def perceptron(w, x):
    x = x.flatten(1)
    *hidden, last = sorted({int(name.split(".")[0]) for name in w})
    for layer in hidden:
        x = F.relu(F.linear(x, w[f"{layer}.weight"], w[f"{layer}.bias"]))
    return F.linear(x, w[f"{last}.weight"], w[f"{last}.bias"])


def convolutional(w, x):
    for layer, is_pooled in [(0, False), (3, True), (7, False), (10, True), (14, False)]:
        x = F.conv2d(x, w[f"features.{layer}.weight"], padding=1)
        norm = f"features.{layer + 1}"
        moments = w[f"{norm}.running_mean"], w[f"{norm}.running_var"]
        x = F.relu(F.batch_norm(x, *moments, w[f"{norm}.weight"], w[f"{norm}.bias"]))
        if is_pooled:
            x = F.max_pool2d(x, 2)
    return F.linear(x.mean((2, 3)), w["classifier.weight"], w["classifier.bias"])


def splines(x, grid):
    x = x.unsqueeze(-1)
    bases = ((x >= grid[:, :-1]) & (x < grid[:, 1:])).to(x.dtype)
    for k in range(1, SPLINE_ORDER + 1):
        rising = (x - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)])
        falling = (grid[:, k + 1 :] - x) / (grid[:, k + 1 :] - grid[:, 1:-k])
        bases = rising * bases[..., :-1] + falling * bases[..., 1:]
    return bases


def kolmogorov_arnold(w, x):
    for layer in ("layers.0", "layers.1"):
        spline_weight = w[f"{layer}.spline_weight"] * w[f"{layer}.spline_scaler"].unsqueeze(-1)
        base = F.linear(F.silu(x), w[f"{layer}.base_weight"])
        x = base + F.linear(splines(x, w[f"{layer}.grid"]).flatten(1), spline_weight.flatten(1))
    return x


def rms_norm(x, weight):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + RMS_EPSILON) * weight


def attention(w, prefix, x, is_future):
    n, positions, width = x.shape
    q, k, v = (
        F.linear(x, w[f"{prefix}.{part}_proj.weight"]).view(n, positions, HEADS, -1).transpose(1, 2)
        for part in "qkv"
    )
    scores = q @ k.transpose(2, 3) / (width // HEADS) ** 0.5
    mixed = scores.masked_fill(is_future, MASKED).softmax(-1) @ v
    return F.linear(mixed.transpose(1, 2).reshape(n, positions, width), w[f"{prefix}.o_proj.weight"])


def transformer(w, ids):
    positions = ids.shape[1]
    is_future = torch.ones(positions, positions, dtype=torch.bool).triu(1)
    x = F.embedding(ids, w["model.embed_tokens.weight"]) + w["model.embed_positions.weight"][:positions]
    for layer in range(4):
        prefix = f"model.layers.{layer}"
        h = rms_norm(x, w[f"{prefix}.input_layernorm.weight"])
        x = x + attention(w, f"{prefix}.self_attn", h, is_future)
        h = rms_norm(x, w[f"{prefix}.post_attention_layernorm.weight"])
        gate, up, down = (w[f"{prefix}.mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
        x = x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)
    return F.linear(rms_norm(x, w["model.norm.weight"]), w["lm_head.weight"])


NETWORKS = {
    "fc2-mnist": perceptron,
    "fc5-fashion": perceptron,
    "cnn-fashion": convolutional,
    "kan-mnist": kolmogorov_arnold,
    "llama-tiny": transformer,
}


def load(fixture, samples):
    """Returns what runs the network forward and backward once: the summed loss, and its gradients."""
    network = NETWORKS[fixture]
    folder = fixtures / fixture
    weights = read_safetensors(folder / "model.safetensors")
    prunable = json.loads((folder / "golden.json").read_text())["prunable"]
    targets = [weights[name].requires_grad_() for name in prunable]
    inputs, labels = (
        torch.from_numpy(numpy.load(folder / f"calibration_{part}.npy", mmap_mode="r")[:samples].copy())
        for part in ("inputs", "labels")
    )

    def differentiate():
        logits = network(weights, inputs)
        loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")
        return loss.item(), torch.autograd.grad(loss, targets)

    return differentiate


def giga_flops():
    """Of matrix products, the best of a few: some builds of PyTorch come with a BLAS thirty times slower than others."""
    a = torch.ones(PRODUCT, PRODUCT)
    seconds = []
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * PRODUCT**3 / min(seconds) / 1e9


print(f"torch {torch.__version__}, matrix products at {giga_flops():.1f} GFLOP/s", flush=True)
differentiate = None
for line in sys.stdin:
    command, *arguments = line.split()
    start = time.perf_counter()
    loss = 0
    if command == "load":
        differentiate = load(arguments[0], int(arguments[1]))
    elif command == "run":
        for _ in range(int(arguments[0])):
            loss, _ = differentiate()
    elif command == "write":
        loss, gradients = differentiate()
        output.write_bytes(b"".join(gradient.numpy().astype("<f4").tobytes() for gradient in gradients))
    print((time.perf_counter() - start) * 1000, loss, flush=True)
