"""Encoders, decoders and encoder-decoders of transformers, in small configurations with random weights."""

import torch
import transformers as hf

from common import BATCH, SEQUENCE, Pick, Source, classes, export, tokens

VOCABULARY = 64
ENCODER = dict(
    vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=64, num_labels=3,
)
OPEN = {0: BATCH, 1: SEQUENCE}


def encoder(config_class, model_class, attention="sdpa", is_open=False, **more):
    """A classifier of sequences with a mask."""
    config = config_class(**{**ENCODER, **more})
    config._attn_implementation = attention
    names = ["input_ids", "attention_mask"]
    ids = tokens(VOCABULARY)
    mask = torch.ones_like(ids)
    mask[::3, -2:] = 0
    return Source(
        Pick(model_class(config), names, lambda result: result.logits),
        dict(zip(names, (ids, mask))),
        axes={name: OPEN for name in names} if is_open else {},
        outputs=("logits",),
        labels=classes(3),
        heads=[4, 4],
    )


@export("bert", "BERT", variants=("opset23", "fp16", "bf16", "qdq", "dynamic", "int4", "ort-basic", "ort-extended", "ort-transformers"))
def bert():
    return encoder(hf.BertConfig, hf.BertForSequenceClassification)


@export("bert-open", "BERT")
def bert_open():
    return encoder(hf.BertConfig, hf.BertForSequenceClassification, is_open=True)


@export("bert-eager", "BERT", variants=("ort-transformers",))
def bert_eager():
    return encoder(hf.BertConfig, hf.BertForSequenceClassification, attention="eager")


@export("distilbert", "DistilBERT", variants=("dynamic",))
def distilbert():
    return encoder(hf.DistilBertConfig, hf.DistilBertForSequenceClassification, dim=32, n_heads=4, n_layers=2, hidden_dim=64)


@export("roberta", "RoBERTa", variants=("ort-extended",))
def roberta():
    return encoder(hf.RobertaConfig, hf.RobertaForSequenceClassification, pad_token_id=1)


@export("electra", "ELECTRA")
def electra():
    return encoder(hf.ElectraConfig, hf.ElectraForSequenceClassification, embedding_size=16)


@export("deberta-v2", "DeBERTa")
def deberta():
    return encoder(
        hf.DebertaV2Config, hf.DebertaV2ForSequenceClassification, attention="eager",
        relative_attention=True, max_relative_positions=16, position_buckets=8, pos_att_type=["c2p", "p2c"], norm_rel_ebd="layer_norm",
        share_att_key=True, position_biased_input=False,
    )


@export("mpnet", "MPNet")
def mpnet():
    return encoder(hf.MPNetConfig, hf.MPNetForSequenceClassification, attention="eager")


@export("albert", "ALBERT")
def albert():
    return encoder(hf.AlbertConfig, hf.AlbertForSequenceClassification, embedding_size=16)


def decoder(config_class, model_class, heads=4, layers=2, attention="sdpa", experts=None, **more):
    """A language model without a cache."""
    sizes = dict(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=64,
        max_position_embeddings=64, use_cache=False, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )
    config = config_class(**{**sizes, **more})
    config._attn_implementation = attention
    if experts is not None:
        config._experts_implementation = experts
    ids = tokens(VOCABULARY)
    return Source(
        Pick(model_class(config), ["input_ids"], lambda result: result.logits, use_cache=False),
        {"input_ids": ids},
        axes={"input_ids": OPEN},
        outputs=("logits",),
        labels=torch.roll(ids, -1, 1),
        heads=[heads] * layers,
        optimizer="gpt2",
    )


@export("gpt2", "GPT-2", variants=("opset23", "fp16", "dynamic", "int4-asymmetric", "ort-transformers", "ort-extended"))
def gpt2():
    return decoder(hf.GPT2Config, hf.GPT2LMHeadModel, n_embd=32, n_head=4, n_layer=2, n_positions=64)


@export("llama", "Llama", variants=("opset23", "fp16", "bf16", "int4", "ort-extended"))
def llama():
    return decoder(hf.LlamaConfig, hf.LlamaForCausalLM, num_key_value_heads=2)


@export("mistral", "Mistral")
def mistral():
    return decoder(hf.MistralConfig, hf.MistralForCausalLM, num_key_value_heads=2, sliding_window=4)


@export("qwen2", "Qwen2", variants=("opset23", "int4"))
def qwen2():
    return decoder(hf.Qwen2Config, hf.Qwen2ForCausalLM, num_key_value_heads=2)


@export("gemma", "Gemma")
def gemma():
    return decoder(hf.GemmaConfig, hf.GemmaForCausalLM, num_key_value_heads=1, head_dim=8)


@export("phi", "Phi")
def phi():
    return decoder(hf.PhiConfig, hf.PhiForCausalLM, partial_rotary_factor=0.5)


@export("opt", "OPT", variants=("dynamic",))
def opt():
    return decoder(hf.OPTConfig, hf.OPTForCausalLM, ffn_dim=64, word_embed_proj_dim=32)


@export("bloom", "Bloom")
def bloom():
    return decoder(hf.BloomConfig, hf.BloomForCausalLM, attention="eager", n_head=4, n_layer=2)


@export("falcon", "Falcon")
def falcon():
    return decoder(hf.FalconConfig, hf.FalconForCausalLM, multi_query=True)


@export("gpt-neox", "GPT-NeoX")
def gpt_neox():
    return decoder(hf.GPTNeoXConfig, hf.GPTNeoXForCausalLM)
