"""Image classifiers, by hand."""

import torch
from torch import nn
from torch.nn import functional as F

from common import Source, classes, export, images

QUANTIZED = ("qdq", "fp16", "ort-extended")


def block(inputs, outputs, size=3, stride=1, groups=1, act=nn.ReLU):
    layers = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


def classifier(module, variants=(), size=16):
    return Source(module, {"image": images(size=size)}, outputs=("logits",), labels=classes())


@export("vgg", "VGG", variants=QUANTIZED + ("opset23", "bf16", "ort-basic", "dynamic", "qoperator"))
def vgg():
    layers, width = [], 3
    for outputs in (16, 16, "pool", 32, 32, "pool"):
        if outputs == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.ReLU()]
            width = outputs
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 48), nn.ReLU(), nn.Dropout(), nn.Linear(48, 10)]
    return classifier(nn.Sequential(*layers, *head))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride=1, groups=1):
        super().__init__()
        self.body = nn.Sequential(
            block(inputs, outputs, 1),
            block(outputs, outputs, 3, stride, groups),
            block(outputs, outputs * 2, 1, act=None),
        )
        self.skip = block(inputs, outputs * 2, 1, stride, act=None)

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


@export("resnet", "ResNet", variants=QUANTIZED + ("opset23", "batchnorm", "ort-basic"))
def resnet():
    body = [block(3, 16), Residual(16, 16), Residual(32, 16), Residual(32, 32, 2)]
    return classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)))


@export("resnext", "ResNeXt")
def resnext():
    body = [block(3, 16), Residual(16, 32, groups=4), Residual(64, 32, 2, groups=4)]
    return classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)))


class Excite(nn.Module):
    def __init__(self, channels, squeezed, gate=nn.Hardsigmoid):
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1), gate()

    def forward(self, x):
        return x * self.gate(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    def __init__(self, inputs, hidden, outputs, stride, act, gate):
        super().__init__()
        self.body = nn.Sequential(
            block(inputs, hidden, 1, act=act),
            block(hidden, hidden, 3, stride, groups=hidden, act=act),
            Excite(hidden, 8, gate),
            block(hidden, outputs, 1, act=None),
        )
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.is_residual else self.body(x)


def inverted_net(act, gate):
    body = [block(3, 16, stride=2, act=act)]
    for inputs, hidden, outputs, stride in ((16, 32, 16, 1), (16, 48, 24, 2), (24, 64, 24, 1)):
        body.append(Inverted(inputs, hidden, outputs, stride, act, gate))
    body.append(block(24, 64, 1, act=act))
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


@export("mobilenet-v3", "MobileNet", variants=("qdq", "batchnorm", "ort-extended"))
def mobilenet():
    return classifier(inverted_net(nn.Hardswish, nn.Hardsigmoid))


@export("efficientnet", "EfficientNet", variants=("fp16", "batchnorm"))
def efficientnet():
    return classifier(inverted_net(nn.SiLU, nn.Sigmoid))


class DenseBlock(nn.Module):
    def __init__(self, inputs, growth, count):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(inputs + i * growth),
                nn.ReLU(),
                nn.Conv2d(inputs + i * growth, 32, 1, bias=False),
                nn.BatchNorm2d(32),
                nn.ReLU(),
                nn.Conv2d(32, growth, 3, padding=1, bias=False),
            )
            for i in range(count)
        )

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return x


@export("densenet", "DenseNet", variants=("qdq", "opset23"))
def densenet():
    between = [nn.BatchNorm2d(48), nn.ReLU(), nn.Conv2d(48, 24, 1), nn.AvgPool2d(2)]
    body = [nn.Conv2d(3, 16, 3, padding=1), DenseBlock(16, 8, 4), *between, DenseBlock(24, 8, 3)]
    return classifier(nn.Sequential(*body, nn.BatchNorm2d(48), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10)))


class NextBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.depth = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


@export("convnext", "ConvNeXt", variants=("opset23", "dynamic", "fp16"))
def convnext():
    body = [nn.Conv2d(3, 16, 4, 4), NextBlock(16), NextBlock(16), nn.Conv2d(16, 32, 2, 2), NextBlock(32)]
    return classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, 10)))


class ShuffleUnit(nn.Module):
    def __init__(self, width):
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(
            block(half, half, 1), block(half, half, 3, groups=half, act=None), block(half, half, 1)
        )

    def forward(self, x):
        left, right = x.chunk(2, 1)
        joined = torch.cat((left, self.body(right)), 1)
        n, c, h, w = joined.shape
        return joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


@export("shufflenet", "ShuffleNet", variants=("qdq",))
def shufflenet():
    body = [block(3, 32, stride=2), ShuffleUnit(32), ShuffleUnit(32), block(32, 64, 1)]
    return classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)))


class Inception(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.paths = nn.ModuleList(
            (
                block(inputs, 16, 1),
                nn.Sequential(block(inputs, 8, 1), block(8, 16, 3)),
                nn.Sequential(block(inputs, 8, 1), block(8, 16, 3), block(16, 16, 3)),
                nn.Sequential(nn.AvgPool2d(3, 1, 1), block(inputs, 8, 1)),
            )
        )

    def forward(self, x):
        return torch.cat([path(x) for path in self.paths], 1)


@export("inception", "Inception", variants=("qdq", "ort-extended"))
def inception():
    body = [block(3, 16), Inception(16), nn.MaxPool2d(2), Inception(56)]
    return classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(56, 10)))


@export("squeezenet", "SqueezeNet")
def squeezenet():
    class Fire(nn.Module):
        def __init__(self, inputs, squeezed, expanded):
            super().__init__()
            self.squeeze = nn.Conv2d(inputs, squeezed, 1)
            self.one, self.three = nn.Conv2d(squeezed, expanded, 1), nn.Conv2d(squeezed, expanded, 3, padding=1)

        def forward(self, x):
            x = F.relu(self.squeeze(x))
            return torch.cat((F.relu(self.one(x)), F.relu(self.three(x))), 1)

    body = [nn.Conv2d(3, 16, 3, 2), nn.ReLU(), Fire(16, 8, 16), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(32, 8, 24)]
    return classifier(nn.Sequential(*body, nn.Conv2d(48, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


@export("mlp-mixer", "MLP-Mixer", variants=("dynamic",))
def mixer():
    class Mixer(nn.Module):
        def __init__(self, places, width):
            super().__init__()
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.places = nn.Sequential(nn.Linear(places, 24), nn.GELU(), nn.Linear(24, places))
            self.features = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))

        def forward(self, x):
            x = x + self.places(self.first(x).transpose(1, 2)).transpose(1, 2)
            return x + self.features(self.second(x))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 32, 4, 4)
            self.mixers = nn.Sequential(Mixer(16, 32), Mixer(16, 32))
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            x = self.mixers(self.stem(x).flatten(2).transpose(1, 2))
            return self.head(x.mean(1))

    return classifier(Net())
