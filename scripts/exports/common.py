"""What the catalogue's files share: the register of exports, inputs, and weights that hide nothing."""

import inspect
from dataclasses import dataclass, field

import numpy
import torch

SAMPLES = 8
BATCH = torch.export.Dim("batch", min=1, max=512)
SEQUENCE = torch.export.Dim("sequence", min=1, max=512)


@dataclass
class Source:
    """A module with what it is fed: samples on the axes named `batch`."""

    module: torch.nn.Module
    inputs: dict
    # Of each input the open axes by number; the first alone where nothing is said.
    axes: dict = field(default_factory=dict)
    outputs: tuple = ("output",)
    # Class ids or next tokens for the first output; None: numbers near what the model gives.
    labels: object = None
    # Heads of each attention, in order.
    heads: list = field(default_factory=list)
    # What onnxruntime's optimizer of transformers takes it for.
    optimizer: str = "bert"
    # Inputs that are the same for every sample, and have no axis for them.
    constants: tuple = ()


@dataclass
class Entry:
    name: str
    kind: str
    make: object
    variants: tuple
    file: str


ENTRIES = []


def export(name, kind, variants=()):
    """Registers a function that makes a Source under `name`, and under `name-variant` for each variant."""

    def register(make):
        ENTRIES.append(Entry(name, kind, make, tuple(variants), inspect.getsourcefile(make)))
        return make

    return register


def images(channels=3, size=16):
    return torch.randn(SAMPLES, channels, size, size)


def tokens(vocabulary=64, length=8):
    return torch.randint(0, vocabulary, (SAMPLES, length))


def classes(count=10):
    return torch.randint(0, count, (SAMPLES,))


def stir(module):
    """Moves every parameter and statistic off the values that initialization gives many of them: a zero bias hides what becomes of it."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        for part in module.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
    return module


class Pick(torch.nn.Module):
    """A transformers model as a function of tensors that gives tensors: `pick` of what it returns."""

    def __init__(self, model, names, pick, **fixed):
        super().__init__()
        self.model = model
        self.names = names
        self.pick = pick
        self.fixed = fixed

    def forward(self, *tensors):
        result = self.model(**dict(zip(self.names, tensors)), **self.fixed)
        return self.pick(result)


def by_name(value):
    return numpy.ascontiguousarray(value.detach().cpu().numpy())
