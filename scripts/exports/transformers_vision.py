"""Vision transformers and what joins images and texts."""

import torch
import transformers as hf

from common import Pick, Source, classes, export, images, tokens

SIZES = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=16, patch_size=4, num_labels=5
)


def image_model(config, model_class, attention="sdpa", heads=(4, 4)):
    config._attn_implementation = attention
    module = Pick(model_class(config), ["pixel_values"], lambda result: result.logits)
    size = config.image_size
    return Source(module, {"pixel_values": images(size=size)}, outputs=("logits",), labels=classes(5), heads=list(heads), optimizer="vit")


@export("vit", "ViT", variants=("opset23", "qdq", "dynamic", "ort-extended", "ort-transformers", "fp16"))
def vit():
    return image_model(hf.ViTConfig(**SIZES), hf.ViTForImageClassification)


@export("deit", "DeiT")
def deit():
    return image_model(hf.DeiTConfig(**SIZES), hf.DeiTForImageClassification)


@export("beit", "BEiT")
def beit():
    return image_model(hf.BeitConfig(**SIZES, use_relative_position_bias=True), hf.BeitForImageClassification, attention="eager")


@export("swin", "Swin", variants=("opset23",))
def swin():
    config = hf.SwinConfig(
        image_size=16, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_labels=5
    )
    return image_model(config, hf.SwinForImageClassification, attention="eager", heads=(2, 2, 4, 4))


@export("clip", "CLIP", variants=("ort-extended",))
def clip():
    text = dict(
        vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=16, eos_token_id=1, bos_token_id=0, pad_token_id=1,
    )
    vision = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, image_size=16, patch_size=4)
    model = hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    names = ["input_ids", "pixel_values", "attention_mask"]
    ids = tokens()
    inputs = dict(zip(names, (ids, images(size=16), torch.ones_like(ids))))
    module = Pick(model, names, lambda result: (result.text_embeds, result.image_embeds))
    return Source(module, inputs, outputs=("text", "image"), heads=[4, 4])
