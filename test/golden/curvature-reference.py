"""Writes curvature-reference.json: v' H v in float64 by PyTorch (tried with 1.13), for estimateTrace's first vectors.

    python3 test/golden/curvature-reference.py shared/fixtures > test/golden/curvature-reference.json

The networks are rebuilt from their safetensors files, and the vectors drawn by a generator written after the description in
src/runtime/rademacher.ts: nothing here is the product's. H is the Hessian of the mean cross-entropy over the calibration set.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional as F

SEED = 20250925
PROBES = 3
MASK = 0xFFFFFFFF


def mix(h):
    h = (h ^ (h >> 16)) * 0x85EBCA6B & MASK
    h = (h ^ (h >> 13)) * 0xC2B2AE35 & MASK
    return h ^ (h >> 16)


def rotate(x, k):
    return (x << k | x >> (32 - k)) & MASK


def words(seed):
    """xoshiro128**"""
    s = [mix((seed + i * 0x9E3779B9) & MASK) for i in (1, 2, 3, 4)]
    while True:
        yield rotate(s[1] * 5 & MASK, 7) * 9 & MASK
        t = s[1] << 9 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 11)


def signs(generator, shape):
    n = int(np.prod(shape))
    bits = np.array([next(generator) for _ in range(-(-n // 32))], dtype="<u4")
    ones = np.unpackbits(bits.view(np.uint8), bitorder="little")[:n]
    return torch.from_numpy(ones.astype(np.float64) * 2 - 1).reshape(tuple(shape))


def load(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            np.frombuffer(data[start + a : start + b], "<f4").astype(np.float64).reshape(entry["shape"])
        )
        for name, entry in header.items()
        if entry["dtype"] == "F32"
        for a, b in [entry["data_offsets"]]
    }


def fc2(p, x):
    h = F.relu(F.linear(x.flatten(1), p["1.weight"], p["1.bias"]))
    return F.linear(h, p["3.weight"], p["3.bias"])


def cnn(p, x):
    for conv, pool in ((0, False), (3, True), (7, False), (10, True), (14, False)):
        norm = f"features.{conv + 1}."
        x = F.conv2d(x, p[f"features.{conv}.weight"], p.get(f"features.{conv}.bias"), padding=1)
        x = F.batch_norm(
            x, p[norm + "running_mean"], p[norm + "running_var"], p[norm + "weight"], p[norm + "bias"], eps=1e-5
        )
        x = F.relu(x)
        if pool:
            x = F.max_pool2d(x, 2)
    return F.linear(x.mean((2, 3)), p["classifier.weight"], p["classifier.bias"])


def products(folder, network):
    golden = json.loads((folder / "golden.json").read_text())
    parameters = load(folder / "model.safetensors")
    x = torch.from_numpy(np.load(folder / "calibration_inputs.npy")).double()
    y = torch.from_numpy(np.load(folder / "calibration_labels.npy"))
    names = list(golden["prunable"])
    weights = [parameters[name].requires_grad_() for name in names]
    generator = words(SEED)
    vectors = [[signs(generator, w.shape) for w in weights] for _ in range(PROBES)]
    found = [0.0] * PROBES
    for at in range(0, len(y), 64):
        loss = F.cross_entropy(network(parameters, x[at : at + 64]), y[at : at + 64], reduction="sum") / len(y)
        gradients = torch.autograd.grad(loss, weights, create_graph=True)
        for i, vector in enumerate(vectors):
            inner = sum((g * v).sum() for g, v in zip(gradients, vector))
            second = torch.autograd.grad(inner, weights, retain_graph=True)
            found[i] += sum((h * v).sum().item() for h, v in zip(second, vector))
    return {"weights": names, "products": found}


fixtures = pathlib.Path(sys.argv[1])
networks = {"fc2-mnist": fc2, "cnn-fashion": cnn}
result = {folder: products(fixtures / folder, network) for folder, network in networks.items()}
print(json.dumps({"origin": "curvature-reference.py, float64", "seed": SEED, **result}, indent=2))
