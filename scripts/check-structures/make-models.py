"""Exports the small models of test/structure/models with PyTorch 1.13, with random weights, the same every time.

    python3 scripts/check-structures/make-models.py test/structure/models
"""

import io
import math
import sys
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional as F

OPSET = 16
VOCABULARY = 40
WIDTH = 32
HEADS = 4


class FusedProjection(nn.Module):
    """GPT-2's Conv1D: a matrix stored [in, out]."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(0.1 * torch.randn(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class GptBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.c_attn = FusedProjection(WIDTH, 3 * WIDTH)
        self.c_proj = FusedProjection(WIDTH, WIDTH)
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.c_fc = FusedProjection(WIDTH, 4 * WIDTH)
        self.mlp_proj = FusedProjection(4 * WIDTH, WIDTH)

    def forward(self, x, mask):
        q, k, v = self.c_attn(self.ln_1(x)).split(WIDTH, dim=2)
        q, k, v = (split_heads(each, HEADS) for each in (q, k, v))
        scores = q @ k.transpose(-1, -2) / (k.size(-1) ** 0.5)
        scores = torch.where(mask, scores, torch.tensor(-1e4))
        x = x + self.c_proj(merge_heads(scores.softmax(-1) @ v))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


def split_heads(x, heads):
    return x.view(x.size(0), x.size(1), heads, x.size(2) // heads).transpose(1, 2)


def merge_heads(x):
    x = x.transpose(1, 2).contiguous()
    return x.view(x.size(0), x.size(1), x.size(2) * x.size(3))


class Gpt(nn.Module):
    """GPT-2: one projection for q, k and v, learned positions, the embedding used again for the logits."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(VOCABULARY, WIDTH)
        self.wpe = nn.Embedding(64, WIDTH)
        self.h = nn.ModuleList([GptBlock(), GptBlock()])
        self.ln_f = nn.LayerNorm(WIDTH)
        self.register_buffer("mask", torch.ones(64, 64).tril().bool()[None, None])

    def forward(self, ids):
        length = ids.size(1)
        x = self.wte(ids) + self.wpe(torch.arange(length))
        for block in self.h:
            x = block(x, self.mask[:, :, :length, :length])
        return F.linear(self.ln_f(x), self.wte.weight)


class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(WIDTH))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def rotate(x, cos, sin):
    half = x.size(-1) // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


class GroupedBlock(nn.Module):
    def __init__(self, kv_heads):
        super().__init__()
        self.kv_heads = kv_heads
        self.width = WIDTH // HEADS
        self.norm = RmsNorm()
        self.q_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k_proj = nn.Linear(WIDTH, kv_heads * self.width, bias=False)
        self.v_proj = nn.Linear(WIDTH, kv_heads * self.width, bias=False)
        self.o_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.post_norm = RmsNorm()
        self.gate_proj = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.up_proj = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.down_proj = nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        normed = self.norm(x)
        q = self.q_proj(normed).view(batch, length, HEADS, self.width).transpose(1, 2)
        k = self.k_proj(normed).view(batch, length, self.kv_heads, self.width).transpose(1, 2)
        v = self.v_proj(normed).view(batch, length, self.kv_heads, self.width).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = self.repeat(k), self.repeat(v)
        scores = q @ k.transpose(2, 3) / math.sqrt(self.width) + mask
        attended = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1)
        x = x + self.o_proj(attended)
        normed = self.post_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(normed)) * self.up_proj(normed))

    def repeat(self, x):
        batch, heads, length, width = x.shape
        times = HEADS // heads
        return x[:, :, None].expand(batch, heads, times, length, width).reshape(batch, heads * times, length, width)


class GroupedQuery(nn.Module):
    """Llama: rotary positions, several query heads for one of keys and values, a gated MLP."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList([GroupedBlock(2), GroupedBlock(2)])
        self.norm = RmsNorm()
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        width = WIDTH // HEADS
        angles = torch.outer(torch.arange(64.0), 10000 ** (-torch.arange(0, width, 2) / width))
        self.register_buffer("cos", torch.cat((angles, angles), -1).cos())
        self.register_buffer("sin", torch.cat((angles, angles), -1).sin())

    def forward(self, ids):
        length = ids.size(1)
        mask = torch.full((length, length), -1e4).triu(1)
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos[:length], self.sin[:length], mask)
        return self.head(self.norm(x))


class DenseLayer(nn.Module):
    def __init__(self, channels, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 2 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * growth)
        self.conv2 = nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features):
        x = self.conv1(F.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(F.relu(self.norm2(x)))


class DenseNet(nn.Module):
    """Every layer reads what all before it gave; BatchNorms before the convolutions, so that nothing folds them."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.block1 = nn.ModuleList([DenseLayer(12 + 8 * i, 8) for i in range(3)])
        self.norm = nn.BatchNorm2d(36)
        self.transition = nn.Conv2d(36, 16, 1, bias=False)
        self.block2 = nn.ModuleList([DenseLayer(16 + 8 * i, 8) for i in range(3)])
        self.last = nn.BatchNorm2d(40)
        self.classifier = nn.Linear(40, 10)

    def forward(self, image):
        x = self.dense(self.block1, self.stem(image))
        x = F.avg_pool2d(self.transition(F.relu(self.norm(x))), 2)
        x = F.relu(self.last(self.dense(self.block2, x)))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))

    def dense(self, block, x):
        features = [x]
        for layer in block:
            features.append(layer(features))
        return torch.cat(features, 1)


class Recurrent(nn.Module):
    """Stacked LSTMs in both directions, then a GRU; they start from one tensor of zeros."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 16)
        self.lstm = nn.LSTM(16, 12, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(24, 20, num_layers=2, batch_first=True)
        self.out = nn.Linear(20, 5)

    def forward(self, ids):
        x, _ = self.lstm(self.embed(ids))
        x, last = self.gru(x)
        return self.out(x), self.out(last[-1])


class Convolutions(nn.Module):
    """Grouped, depthwise and transposed convolutions, shuffled halves, GroupNorm, a gate a channel, sub-pixels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.grouped = nn.Conv2d(16, 24, 3, padding=1, groups=4)
        self.depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.norm = nn.GroupNorm(4, 24)
        self.squeeze = nn.Conv2d(24, 6, 1)
        self.excite = nn.Conv2d(6, 24, 1)
        self.side = nn.Conv2d(12, 12, 3, padding=1)
        self.down = nn.Conv2d(24, 16, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(16, 12, 2, stride=2)
        self.up_grouped = nn.ConvTranspose2d(12, 12, 3, padding=1, groups=3)
        self.pixels = nn.Conv2d(12, 16, 1)
        self.last = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, image):
        x = F.silu(self.grouped(F.relu(self.stem(image))))
        x = x + F.relu(self.norm(self.depthwise(x)))
        x = x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        left, right = x.chunk(2, dim=1)
        x = self.shuffle(torch.cat((left, F.relu(self.side(right))), 1))
        x = F.relu(self.up(F.relu(self.down(x))))
        x = F.leaky_relu(self.up_grouped(x))
        x = F.interpolate(self.pixels(x), scale_factor=2.0, mode="nearest")
        return self.last(F.pixel_shuffle(x, 2))

    def shuffle(self, x):
        batch, channels, height, width = x.shape
        return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class Attention(nn.Module):
    """torch.nn.MultiheadAttention, after the layer's norms."""

    def __init__(self):
        super().__init__()
        self.inputs = nn.Linear(12, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS)
        self.norm = nn.LayerNorm(WIDTH)
        self.linear1 = nn.Linear(WIDTH, 2 * WIDTH)
        self.linear2 = nn.Linear(2 * WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, 6)

    def forward(self, sequence):
        x = self.inputs(sequence).transpose(0, 1)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        x = x + self.linear2(F.relu(self.linear1(x)))
        return self.out(x).transpose(0, 1)


class VisionBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, 2 * WIDTH)
        self.fc2 = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, length, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        scores = (q * (width // HEADS) ** -0.5) @ k.transpose(-2, -1)
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vision(nn.Module):
    """timm's: one projection for q, k and v that a reshape takes apart, a class token, learned positions."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, 17, WIDTH))
        self.blocks = nn.ModuleList([VisionBlock(), VisionBlock()])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


IDS = ("ids", torch.randint(0, VOCABULARY, (2, 7)), {0: "batch", 1: "sequence"})
SEQUENCE = ("sequence", torch.randn(2, 7, 12), {0: "batch", 1: "sequence"})
IMAGE = ("image", torch.randn(2, 3, 16, 16), {0: "batch"})
OPEN_IMAGE = ("image", torch.randn(2, 3, 16, 16), {0: "batch", 2: "height", 3: "width"})

MODELS = {
    "gpt2": (Gpt, IDS),
    "grouped-query": (GroupedQuery, IDS),
    "dense-net": (DenseNet, OPEN_IMAGE),
    "recurrent": (Recurrent, IDS),
    "convolutions": (Convolutions, IMAGE),
    "multi-head": (Attention, SEQUENCE),
    "vision": (Vision, IMAGE),
}


def export(create, example, directory, name):
    torch.manual_seed(0)
    model = create().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            spread(module)
    argument, value, axes = example
    # In training mode attention is exported step by step; nothing here behaves otherwise in it but BatchNorm, which stays as it is.
    if isinstance(model, Attention):
        model.train()
    buffer = io.BytesIO()
    torch.onnx.export(
        model,
        (value,),
        buffer,
        input_names=[argument],
        dynamic_axes={argument: axes},
        opset_version=OPSET,
        do_constant_folding=True,
        training=torch.onnx.TrainingMode.PRESERVE,
    )
    proto = onnx.load_from_string(buffer.getvalue())
    for node in proto.graph.node:
        node.doc_string = ""
    onnx.save(proto, Path(directory) / f"{name}.onnx")


def spread(norm):
    """Means and variances as of a trained one, so that none is 0 or 1."""
    with torch.no_grad():
        norm.running_mean.normal_(std=0.2)
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(std=0.2)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(exist_ok=True)
    for name, (create, example) in MODELS.items():
        export(create, example, target, name)
