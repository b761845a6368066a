"""Trains the networks of `npm run reproduce` that are not among the fixtures, with PyTorch 1.13, each in minutes on one core.

    apt-get install python3-torch libopenblas0 dataset-fashion-mnist bible-kjv
    bible -f Gen1:1-Rev22:21 > kjv.txt
    python3 scripts/reproduce/train-networks.py path/to/fixtures kjv.txt scripts/reproduce/networks [name ...]

They are measured on the data of the fixtures `cnn-fashion` and `llama-tiny`, so the lines of text that those hold for evaluation are left out of training.
"""

import gzip
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

OPSET = 16
FASHION = Path("/usr/share/datasets/fashion-mnist")
MEAN, DEVIATION = 0.2860, 0.3530
LENGTH = 128
CHARACTERS = 128


def normed(inputs, outputs, stride=1, size=3):
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Vgg(nn.Module):
    """3x3 convolutions with BatchNorm and ReLU, in three groups between which the image is halved."""

    def __init__(self):
        super().__init__()
        layers, inputs = [], 1
        for outputs in (32, "halve", 128, 128, "halve", 128, 128):
            if outputs == "halve":
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [normed(inputs, outputs), nn.ReLU()]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, 10)

    def forward(self, image):
        return self.classifier(self.features(image).mean((2, 3)))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = normed(inputs, outputs, stride)
        self.conv2 = normed(outputs, outputs)
        self.shortcut = nn.Identity() if stride == 1 else normed(inputs, outputs, stride, size=1)

    def forward(self, x):
        return F.relu(self.shortcut(x) + self.conv2(F.relu(self.conv1(x))))


class ResNet(nn.Module):
    """A residual network: its sums tie the channels of a stage together."""

    def __init__(self):
        super().__init__()
        self.stem = normed(1, 16)
        self.blocks = nn.Sequential(ResidualBlock(16, 16, 1), ResidualBlock(16, 32, 2), ResidualBlock(32, 64, 2))
        self.classifier = nn.Linear(64, 10)

    def forward(self, image):
        return self.classifier(self.blocks(F.relu(self.stem(image))).mean((2, 3)))


class Perceptron(nn.Module):
    """Twelve fully connected layers, as the paper's FC12: pruned alike they lose most of what they know."""

    def __init__(self, width=128, layers=12):
        super().__init__()
        sizes = [28 * 28, *[width] * (layers - 1), 10]
        self.layers = nn.ModuleList([nn.Linear(*pair) for pair in zip(sizes, sizes[1:])])

    def forward(self, image):
        x = image.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class FusedProjection(nn.Module):
    """GPT-2's Conv1D: a matrix stored [in, out]."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.c_attn = FusedProjection(width, 3 * width)
        self.c_proj = FusedProjection(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.c_fc = FusedProjection(width, 4 * width)
        self.mlp_proj = FusedProjection(4 * width, width)

    def forward(self, x, mask):
        batch, length, width = x.shape
        projected = self.c_attn(self.ln_1(x)).split(width, dim=2)
        q, k, v = (each.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for each in projected)
        scores = torch.where(mask, (q / math.sqrt(width // self.heads)) @ k.transpose(2, 3), torch.tensor(-1e4))
        x = x + self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


class Gpt(nn.Module):
    """GPT-2 on ASCII: one projection for q, k and v, learned positions, the embedding used again for the logits."""

    def __init__(self, width=64, heads=8, blocks=2):
        super().__init__()
        self.wte = nn.Embedding(CHARACTERS, width)
        self.wpe = nn.Embedding(LENGTH, width)
        self.h = nn.ModuleList([GptBlock(width, heads) for _ in range(blocks)])
        self.ln_f = nn.LayerNorm(width)
        self.register_buffer("mask", torch.ones(LENGTH, LENGTH).tril().bool())
        for embedding in (self.wte, self.wpe):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, input_ids):
        length = input_ids.size(1)
        x = self.wte(input_ids) + self.wpe(torch.arange(length))
        for block in self.h:
            x = block(x, self.mask[:length, :length])
        return F.linear(self.ln_f(x), self.wte.weight)


def read_fashion():
    """The 60,000 training images, normalised as the fixtures are, and their classes."""
    with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    images = (pixels.astype(np.float32) / 255 - MEAN) / DEVIATION
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def read_text(path, fixtures):
    """The text as bytes, without what the fixture holds for evaluation."""
    text = Path(path).read_bytes()
    is_kept = np.ones(len(text), bool)
    for sequence in np.load(Path(fixtures) / "llama-tiny" / "eval_inputs.npy").astype(np.uint8):
        start = text.find(sequence.tobytes())
        if start < 0:
            raise SystemExit(f"{path} does not hold {sequence.tobytes()}: it is not the text of the fixture")
        is_kept[start : start + LENGTH + 1] = False
    return torch.from_numpy(np.frombuffer(text, np.uint8)[is_kept].astype(np.int64))


def image_batches(images, labels, size, epochs):
    for _ in range(epochs):
        yield from ((images[chosen], labels[chosen]) for chosen in torch.randperm(len(images)).split(size))


def text_batches(text, size, steps):
    for _ in range(steps):
        starts = torch.randint(0, len(text) - LENGTH, (size, 1))
        chosen = text[starts + torch.arange(LENGTH + 1)]
        yield chosen[:, :-1], chosen[:, 1:]


def train(model, batches, steps, learning_rate):
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    start, average = time.time(), 0.0
    for step, (inputs, labels) in enumerate(batches, 1):
        loss = F.cross_entropy(model(inputs).flatten(0, -2), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average += (loss.item() - average) / min(step, 100)
        if step % 100 == 0:
            print(f"step {step} of {steps}: loss {average:.3f}, {time.time() - start:.0f} s", flush=True)


def train_on_images(model, data, epochs, learning_rate=6e-3, size=128):
    images, labels = data
    steps = epochs * math.ceil(len(images) / size)
    train(model, image_batches(images, labels, size, epochs), steps, learning_rate)


def train_on_text(model, text, steps, size=8):
    train(model, text_batches(text, size, steps), steps, 4e-3)


def measure(model, inputs, labels):
    """Loss and accuracy on a fixture's evaluation data."""
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in inputs.split(64)]).flatten(0, -2)
    labels = labels.flatten()
    accuracy = (logits.argmax(-1) == labels).float().mean()
    return f"loss {F.cross_entropy(logits, labels):.4f}, accuracy {accuracy:.4f}"


def load(fixtures, name):
    return [torch.from_numpy(np.load(Path(fixtures) / name / f"eval_{part}.npy")) for part in ("inputs", "labels")]


def export(model, example, name, path):
    """BatchNorms stay apart from the convolutions: what is exported in the mode of the model is not folded."""
    axes = {0: "batch"} if example.dim() == 4 else {0: "batch", 1: "sequence"}
    torch.onnx.export(
        model,
        (example,),
        path,
        input_names=[name],
        output_names=["logits"],
        dynamic_axes={name: axes, "logits": axes},
        opset_version=OPSET,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )


def make(name, fixtures, text, directory):
    torch.manual_seed(0)
    if name == "gpt-text":
        model, data, measured, argument = Gpt(), read_text(text, fixtures), load(fixtures, "llama-tiny"), "input_ids"
        train_on_text(model, data, steps=2000)
    else:
        data, measured, argument = read_fashion(), load(fixtures, "cnn-fashion"), "input"
        if name == "fc12-fashion":
            model = Perceptron()
            train_on_images(model, data, epochs=10, learning_rate=1e-3)
        else:
            model = Vgg() if name == "vgg-fashion" else ResNet()
            train_on_images(model, data, epochs=2)
    model.eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {count} parameters, on the evaluation data {measure(model, *measured)}")
    export(model, measured[0][:2], argument, str(Path(directory) / f"{name}.onnx"))


if __name__ == "__main__":
    fixtures, text, directory, *names = sys.argv[1:]
    Path(directory).mkdir(parents=True, exist_ok=True)
    for name in names or ["vgg-fashion", "resnet-fashion", "fc12-fashion", "gpt-text"]:
        make(name, fixtures, text, directory)
