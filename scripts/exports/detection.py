"""Detectors, segmentation and image-to-image networks."""

import torch
import transformers as hf
from torch import nn
from torch.nn import functional as F

from common import SAMPLES, Pick, Source, export, images
from vision import Residual, block


class Bottleneck(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(block(width, width, 3, act=nn.SiLU), block(width, width, 3, act=nn.SiLU))

    def forward(self, x):
        return x + self.body(x)


class C2f(nn.Module):
    """Splits, runs one part through a bottleneck, and puts all parts side by side, as YOLOv8 does."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.half = outputs // 2
        self.first, self.bottleneck = block(inputs, outputs, 1, act=nn.SiLU), Bottleneck(self.half)
        self.last = block(self.half * 3, outputs, 1, act=nn.SiLU)

    def forward(self, x):
        left, right = self.first(x).split(self.half, 1)
        return self.last(torch.cat((left, right, self.bottleneck(right)), 1))


class Yolo(nn.Module):
    def __init__(self, classes=5, bins=4):
        super().__init__()
        self.bins, self.classes = bins, classes
        self.stem = nn.Sequential(block(3, 16, stride=2, act=nn.SiLU), block(16, 24, stride=2, act=nn.SiLU))
        self.stages = nn.ModuleList((C2f(24, 24), C2f(32, 32)))
        self.down = block(24, 32, stride=2, act=nn.SiLU)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.spp_in, self.spp_out = block(32, 16, 1, act=nn.SiLU), block(48, 32, 1, act=nn.SiLU)
        self.up = C2f(56, 24)
        self.boxes = nn.ModuleList(nn.Sequential(block(w, 16, act=nn.SiLU), nn.Conv2d(16, 4 * bins, 1)) for w in (24, 32))
        self.scores = nn.ModuleList(nn.Sequential(block(w, 16, act=nn.SiLU), nn.Conv2d(16, classes, 1)) for w in (24, 32))
        self.dfl = nn.Conv2d(bins, 1, 1, bias=False)

    def forward(self, image):
        fine = self.stages[0](self.stem(image))
        x = self.spp_in(self.stages[1](self.down(fine)))
        once = self.pool(x)
        coarse = self.spp_out(torch.cat((x, once, self.pool(once)), 1))
        fine = self.up(torch.cat((F.interpolate(coarse, scale_factor=2), fine), 1))
        found = []
        for level, boxes, scores in zip((fine, coarse), self.boxes, self.scores):
            found.append(torch.cat((boxes(level), scores(level)), 1).flatten(2))
        box, score = torch.cat(found, 2).split((4 * self.bins, self.classes), 1)
        n, _, places = box.shape
        box = self.dfl(box.view(n, 4, self.bins, places).transpose(1, 2).softmax(1)).view(n, 4, places)
        return torch.cat((box, score.sigmoid()), 1)


@export("yolo", "YOLO", variants=("qdq", "fp16", "opset23", "batchnorm", "ort-extended"))
def yolo():
    return Source(Yolo(), {"image": images(size=32)})


class Ssd(nn.Module):
    """Boxes and classes from three levels, each permuted and flattened."""

    def __init__(self, classes=6, anchors=2):
        super().__init__()
        self.classes = classes
        widths = (16, 32, 32)
        self.levels = nn.ModuleList(block(i, o, stride=2) for i, o in zip((3, 16, 32), widths))
        self.boxes = nn.ModuleList(nn.Conv2d(w, anchors * 4, 3, padding=1) for w in widths)
        self.scores = nn.ModuleList(nn.Conv2d(w, anchors * classes, 3, padding=1) for w in widths)

    def forward(self, image):
        boxes, scores, x = [], [], image
        for level, box, score in zip(self.levels, self.boxes, self.scores):
            x = level(x)
            boxes.append(box(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4))
            scores.append(score(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.classes))
        return torch.cat(boxes, 1), torch.cat(scores, 1).softmax(-1)


@export("ssd", "SSD", variants=("qdq",))
def ssd():
    return Source(Ssd(), {"image": images(size=32)}, outputs=("boxes", "scores"))


class Detr(nn.Module):
    """A backbone, an encoder over its places and a decoder of learned queries, of torch's own layers."""

    def __init__(self, width=32, queries=6):
        super().__init__()
        self.backbone = nn.Sequential(block(3, 16, stride=2), block(16, 32, stride=2), block(32, 32, stride=2))
        self.places = nn.Parameter(torch.randn(1, 16, width))
        self.queries = nn.Parameter(torch.randn(1, queries, width))
        self.transformer = nn.Transformer(width, 4, 1, 1, 48, batch_first=True)
        self.boxes = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 4))
        self.scores = nn.Linear(width, 5)

    def forward(self, image):
        x = self.backbone(image).flatten(2).transpose(1, 2) + self.places
        y = self.transformer(x, self.queries.expand(x.shape[0], -1, -1))
        return self.scores(y), self.boxes(y).sigmoid()


@export("detr", "DETR", variants=("opset23", "ort-extended"))
def detr():
    return Source(Detr(), {"image": images(size=32)}, outputs=("scores", "boxes"), heads=[4, 4, 4])


class UNet(nn.Module):
    def __init__(self, norm=nn.BatchNorm2d):
        super().__init__()

        def double(inputs, outputs):
            conv = lambda i: [nn.Conv2d(i, outputs, 3, padding=1, bias=False), norm(outputs), nn.ReLU()]
            return nn.Sequential(*conv(inputs), *conv(outputs))

        self.down = nn.ModuleList((double(3, 16), double(16, 24)))
        self.bottom = double(24, 32)
        self.up = nn.ModuleList((nn.ConvTranspose2d(32, 24, 2, 2), nn.ConvTranspose2d(24, 16, 2, 2)))
        self.merge = nn.ModuleList((double(48, 24), double(32, 16)))
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat((kept.pop(), up(x)), 1))
        return self.head(x)


@export("unet", "UNet", variants=("qdq", "batchnorm", "fp16"))
def unet():
    return Source(UNet(), {"image": images()})


@export("unet-instance-norm", "UNet")
def unet_instance():
    return Source(UNet(lambda width: nn.InstanceNorm2d(width, affine=True)), {"image": images()})


class Timed(nn.Module):
    """A residual block of a diffusion model: group norms, and the time added to every channel."""

    def __init__(self, inputs, outputs, times=32):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(times, outputs)
        self.norm2, self.conv2 = nn.GroupNorm(4, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, t):
        y = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(t))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(y)))


class Spatial(nn.Module):
    """Attention over the places of an image, to itself and to a text."""

    def __init__(self, width, heads=4, text=16):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(4, width)
        self.own = nn.ModuleList(nn.Linear(width, width, bias=i == 3) for i in range(4))
        self.cross = nn.ModuleList(nn.Linear(text if i in (1, 2) else width, width, bias=i == 3) for i in range(4))
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.geglu, self.down = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def attend(self, layers, x, read):
        n, places, width = x.shape
        split = lambda y: y.view(n, -1, self.heads, width // self.heads).transpose(1, 2)
        q, k, v = split(layers[0](x)), split(layers[1](read)), split(layers[2](read))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, places, width)
        return layers[3](y)

    def forward(self, x, text):
        n, c, h, w = x.shape
        y = self.norm(x).flatten(2).transpose(1, 2)
        own = self.norm1(y)
        y = y + self.attend(self.own, own, own)
        y = y + self.attend(self.cross, self.norm2(y), text)
        value, gate = self.geglu(self.norm3(y)).chunk(2, -1)
        y = y + self.down(value * F.gelu(gate))
        return x + y.transpose(1, 2).view(n, c, h, w)


class Diffusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("rates", torch.exp(-torch.arange(8) / 2.0))
        self.time = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 32))
        self.stem = nn.Conv2d(4, 16, 3, padding=1)
        self.down1, self.shrink, self.down2 = Timed(16, 16), nn.Conv2d(16, 16, 3, 2, 1), Timed(16, 32)
        self.middle, self.attention = Timed(32, 32), Spatial(32)
        self.up2, self.up1 = Timed(64, 16), Timed(32, 16)
        self.norm, self.head = nn.GroupNorm(4, 16), nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, sample, timestep, text):
        angles = timestep[:, None] * self.rates
        t = self.time(torch.cat((angles.sin(), angles.cos()), 1))
        fine = self.down1(self.stem(sample), t)
        coarse = self.down2(self.shrink(fine), t)
        x = self.attention(self.middle(coarse, t), text)
        x = self.up2(torch.cat((x, coarse), 1), t)
        x = self.up1(torch.cat((F.interpolate(x, scale_factor=2), fine), 1), t)
        return self.head(F.silu(self.norm(x)))


@export("diffusion-unet", "diffusion UNet", variants=("opset23", "fp16", "ort-extended", "dynamic"))
def diffusion():
    inputs = {"sample": images(4, 8), "timestep": torch.rand(SAMPLES) * 10, "text": torch.randn(SAMPLES, 5, 16)}
    return Source(Diffusion(), inputs, heads=[4, 4])


@export("autoencoder", "autoencoder", variants=("qdq",))
def autoencoder():
    sizes = (64, 48, 24, 8, 24, 48, 64)
    layers = [part for i, o in zip(sizes, sizes[1:]) for part in (nn.Linear(i, o), nn.ReLU())]
    return Source(nn.Sequential(*layers[:-1]), {"x": torch.randn(SAMPLES, 64)})


@export("conv-autoencoder", "autoencoder")
def conv_autoencoder():
    down = [nn.Conv2d(3, 16, 3, 2, 1), nn.LeakyReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.LeakyReLU()]
    up = [nn.ConvTranspose2d(32, 16, 3, 2, 1, 1), nn.PReLU(16), nn.ConvTranspose2d(16, 3, 3, 2, 1, 1), nn.Tanh()]
    return Source(nn.Sequential(*down, *up), {"image": images()})


@export("super-resolution", "super-resolution")
def super_resolution():
    body = [nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 12, 3, padding=1)]
    return Source(nn.Sequential(*body, nn.PixelShuffle(2)), {"image": images()})


@export("dcgan", "GAN")
def dcgan():
    def up(inputs, outputs, stride):
        return [nn.ConvTranspose2d(inputs, outputs, 4, stride, stride // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    layers = [*up(16, 32, 1), *up(32, 16, 2), nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh()]
    return Source(nn.Sequential(*layers), {"noise": torch.randn(SAMPLES, 16, 1, 1)})


@export("deeplab", "DeepLab")
def deeplab():
    class DeepLab(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(block(3, 16, stride=2), Residual(16, 16))
            self.rates = nn.ModuleList(nn.Conv2d(32, 16, 3, padding=rate, dilation=rate) for rate in (1, 2, 3))
            self.pooled = nn.Conv2d(32, 16, 1)
            self.merge, self.head = block(64, 24, 1), nn.Conv2d(24, 5, 1)

        def forward(self, image):
            x = self.body(image)
            pooled = F.interpolate(self.pooled(F.adaptive_avg_pool2d(x, 1)), size=x.shape[2:], mode="bilinear")
            x = self.merge(torch.cat([F.relu(rate(x)) for rate in self.rates] + [pooled], 1))
            return F.interpolate(self.head(x), scale_factor=2, mode="bilinear", align_corners=False)

    return Source(DeepLab(), {"image": images()})


@export("segformer", "SegFormer")
def segformer():
    config = hf.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[16, 32], num_attention_heads=[2, 4],
        patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[2, 2], decoder_hidden_size=24, num_labels=5,
    )
    model = hf.SegformerForSemanticSegmentation(config)
    return Source(Pick(model, ["pixel_values"], lambda r: r.logits), {"pixel_values": images(size=32)}, outputs=("logits",), heads=[2, 4])
