"""Recommenders, graphs, splines and series."""

import torch
import transformers as hf
from torch import nn
from torch.nn import functional as F

from common import SAMPLES, Pick, Source, classes, export


def bit():
    return torch.randint(0, 2, (SAMPLES, 1)).float()


class Dlrm(nn.Module):
    """Dense and looked-up features, their products by pairs, and a perceptron."""

    def __init__(self, width=8, tables=3):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(20, width) for _ in range(tables))
        self.bottom = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, width), nn.ReLU())
        pairs = (tables + 1) * tables // 2
        self.top = nn.Sequential(nn.Linear(width + pairs, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
        row, column = torch.tril_indices(tables + 1, tables + 1, -1)
        self.register_buffer("pairs", row * (tables + 1) + column)

    def forward(self, dense, sparse):
        x = self.bottom(dense)
        features = torch.stack([x] + [table(sparse[:, i]) for i, table in enumerate(self.tables)], 1)
        products = torch.bmm(features, features.transpose(1, 2)).flatten(1)[:, self.pairs]
        return self.top(torch.cat((x, products), 1))


def clicks(module):
    inputs = {"dense": torch.randn(SAMPLES, 6), "sparse": torch.randint(0, 20, (SAMPLES, 3))}
    return Source(module, inputs, labels=bit())


@export("dlrm", "DLRM", variants=("opset23", "dynamic"))
def dlrm():
    return clicks(Dlrm())


class Dcn(nn.Module):
    """Crosses of the features beside a perceptron."""

    def __init__(self, width=8):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(20, width) for _ in range(3))
        size = 6 + 3 * width
        self.crosses = nn.ModuleList(nn.Linear(size, size) for _ in range(2))
        self.deep = nn.Sequential(nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.head = nn.Linear(size + 16, 1)

    def forward(self, dense, sparse):
        first = torch.cat([dense] + [table(sparse[:, i]) for i, table in enumerate(self.tables)], 1)
        x = first
        for cross in self.crosses:
            x = first * cross(x) + x
        return self.head(torch.cat((x, self.deep(first)), 1)).sigmoid()


@export("dcn", "DCN")
def dcn():
    return clicks(Dcn())


class Ncf(nn.Module):
    """Users and items, multiplied and put side by side."""

    def __init__(self, width=16):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(20, width) for _ in range(4))
        self.deep = nn.Sequential(nn.Linear(2 * width, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU())
        self.head = nn.Linear(width + 12, 1)

    def forward(self, user, item):
        product = self.tables[0](user) * self.tables[1](item)
        deep = self.deep(torch.cat((self.tables[2](user), self.tables[3](item)), 1))
        return self.head(torch.cat((product, deep), 1)).sigmoid()


@export("ncf", "NCF", variants=("qdq",))
def ncf():
    ids = lambda: torch.randint(0, 20, (SAMPLES,))
    return Source(Ncf(), {"user": ids(), "item": ids()}, labels=bit())


class Gcn(nn.Module):
    """Two graph convolutions of a dense adjacency."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(8, 24), nn.Linear(24, 16), nn.Linear(16, 4)

    def forward(self, nodes, adjacency):
        share = adjacency / adjacency.sum(-1, keepdim=True)
        x = F.relu(share @ self.first(nodes))
        x = F.relu(share @ self.second(x))
        return self.head(x.max(1).values)


@export("gcn", "GCN", variants=("fp16",))
def gcn():
    inputs = {"nodes": torch.randn(SAMPLES, 7, 8), "adjacency": torch.rand(SAMPLES, 7, 7) + torch.eye(7)}
    return Source(Gcn(), inputs, outputs=("logits",), labels=classes(4))


class Gat(nn.Module):
    """A graph attention of four heads."""

    def __init__(self, heads=4, width=8):
        super().__init__()
        self.heads, self.width = heads, width
        self.project = nn.Linear(8, heads * width, bias=False)
        self.source, self.target = nn.Parameter(torch.randn(heads, width)), nn.Parameter(torch.randn(heads, width))
        self.head = nn.Linear(heads * width, 4)

    def forward(self, nodes, adjacency):
        n, count, _ = nodes.shape
        x = self.project(nodes).view(n, count, self.heads, self.width)
        one, other = (x * self.source).sum(-1), (x * self.target).sum(-1)
        scores = F.leaky_relu(one[:, :, None] + other[:, None], 0.2)
        scores = scores.masked_fill(adjacency[..., None] < 0.3, -1e9).softmax(2)
        x = torch.einsum("nijh,njhw->nihw", scores, x).reshape(n, count, -1)
        return self.head(F.elu(x).mean(1))


@export("gat", "GAT")
def gat():
    inputs = {"nodes": torch.randn(SAMPLES, 7, 8), "adjacency": torch.rand(SAMPLES, 7, 7) + torch.eye(7)}
    return Source(Gat(), inputs, outputs=("logits",), labels=classes(4), heads=[4])


class KanLinear(nn.Module):
    """A layer of efficient-kan: splines of order 3 on a grid of 5."""

    def __init__(self, inputs, outputs, grid=5, order=3):
        super().__init__()
        self.order = order
        points = torch.arange(-order, grid + order + 1) * (2 / grid) - 1
        self.register_buffer("grid", points.expand(inputs, -1).contiguous())
        self.base_weight = nn.Parameter(torch.randn(outputs, inputs) * 0.3)
        self.spline_weight = nn.Parameter(torch.randn(outputs, inputs, grid + order) * 0.1)
        self.spline_scaler = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, x):
        grid, y = self.grid, x[..., None]
        bases = ((y >= grid[:, :-1]) & (y < grid[:, 1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            left = (y - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)]) * bases[:, :, :-1]
            right = (grid[:, k + 1 :] - y) / (grid[:, k + 1 :] - grid[:, 1:-k]) * bases[:, :, 1:]
            bases = left + right
        weight = self.spline_weight * self.spline_scaler[..., None]
        return F.linear(F.silu(x), self.base_weight) + F.linear(bases.flatten(1), weight.flatten(1))


@export("kan", "KAN", variants=("opset23",))
def kan():
    class Kan(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList((KanLinear(10, 12), KanLinear(12, 8), KanLinear(8, 4)))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    return Source(Kan(), {"x": torch.randn(SAMPLES, 10) * 0.5}, outputs=("logits",), labels=classes(4))


@export("patchtst", "PatchTST")
def patchtst():
    config = hf.PatchTSTConfig(
        num_input_channels=3, context_length=32, patch_length=8, patch_stride=8, d_model=32, num_attention_heads=4,
        num_hidden_layers=2, ffn_dim=64, prediction_length=6, norm_type="layernorm", scaling=None,
    )
    model = hf.PatchTSTForPrediction(config)
    module = Pick(model, ["past_values"], lambda result: result.prediction_outputs)
    return Source(module, {"past_values": torch.randn(SAMPLES, 32, 3)}, heads=[4, 4])


@export("tcn", "TCN", variants=("qdq",))
def tcn():
    class Tcn(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv1d(i, 16, 3, dilation=d) for i, d in ((4, 1), (16, 2), (16, 4)))
            self.skips = nn.ModuleList((nn.Conv1d(4, 16, 1), nn.Identity(), nn.Identity()))
            self.head = nn.Linear(16, 3)

        def forward(self, x):
            for conv, skip in zip(self.convs, self.skips):
                x = F.relu(conv(F.pad(x, (2 * conv.dilation[0], 0)))) + skip(x)
            return self.head(x[:, :, -1])

    return Source(Tcn(), {"series": torch.randn(SAMPLES, 4, 20)})


@export("tft-like", "gated residual network")
def gated():
    class Gated(nn.Module):
        """A gated residual network with a variable selection, as of temporal fusion transformers."""

        def __init__(self, width=16):
            super().__init__()
            self.inward = nn.ModuleList(nn.Linear(1, width) for _ in range(5))
            self.select = nn.Sequential(nn.Linear(5, 16), nn.ELU(), nn.Linear(16, 5))
            self.one, self.two, self.gate = nn.Linear(width, 24), nn.Linear(24, width), nn.Linear(24, 2 * width)
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1)

        def forward(self, x):
            shares = self.select(x).softmax(-1)
            each = torch.stack([layer(x[:, i : i + 1]) for i, layer in enumerate(self.inward)], 1)
            mixed = (each * shares[..., None]).sum(1)
            hidden = F.elu(self.one(mixed))
            return self.head(self.norm(mixed + self.two(hidden) + F.glu(self.gate(hidden), -1)))

    return Source(Gated(), {"x": torch.randn(SAMPLES, 5)})
