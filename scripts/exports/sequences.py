"""Encoder-decoders, mixtures of experts, caches, speech, and recurrent and state-space language models."""

import torch
import transformers as hf
from torch import nn
from torch.nn import functional as F

from common import BATCH, SAMPLES, Pick, Source, classes, export, tokens
from language import OPEN, VOCABULARY, decoder, encoder

LAYERS = dict(encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64)


@export("t5", "T5", variants=("opset23", "ort-extended"))
def t5():
    config = hf.T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_decoder_layers=1, num_heads=4, use_cache=False,
        relative_attention_num_buckets=8, relative_attention_max_distance=16, decoder_start_token_id=0,
    )
    config._attn_implementation = "eager"
    return pair(hf.T5ForConditionalGeneration(config))


@export("t5-encoder", "T5")
def t5_encoder():
    config = hf.T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu",
        relative_attention_num_buckets=8, relative_attention_max_distance=16,
    )
    config._attn_implementation = "eager"
    names = ["input_ids", "attention_mask"]
    ids = tokens()
    module = Pick(hf.T5EncoderModel(config), names, lambda result: result.last_hidden_state)
    return Source(module, dict(zip(names, (ids, torch.ones_like(ids)))), axes={name: OPEN for name in names}, heads=[4, 4])


def pair(model):
    names = ["input_ids", "decoder_input_ids"]
    target = tokens(length=6)
    inputs = dict(zip(names, (tokens(), target)))
    module = Pick(model, names, lambda result: result.logits, use_cache=False)
    return Source(module, inputs, outputs=("logits",), labels=torch.roll(target, -1, 1), heads=[4, 4, 4])


@export("bart", "BART", variants=("dynamic",))
def bart():
    config = hf.BartConfig(vocab_size=VOCABULARY, d_model=32, max_position_embeddings=32, use_cache=False, **LAYERS)
    return pair(hf.BartForConditionalGeneration(config))


@export("whisper", "Whisper", variants=("opset23",))
def whisper():
    config = hf.WhisperConfig(
        vocab_size=VOCABULARY, d_model=32, num_mel_bins=8, max_source_positions=16, max_target_positions=16, use_cache=False,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, **LAYERS,
    )
    names = ["input_features", "decoder_input_ids"]
    target = tokens(length=6)
    inputs = dict(zip(names, (torch.randn(SAMPLES, 8, 32), target)))
    module = Pick(hf.WhisperForConditionalGeneration(config), names, lambda result: result.logits, use_cache=False)
    return Source(module, inputs, outputs=("logits",), labels=torch.roll(target, -1, 1), heads=[4, 4, 4])


@export("whisper-encoder", "Whisper")
def whisper_encoder():
    config = hf.WhisperConfig(
        vocab_size=VOCABULARY, d_model=32, num_mel_bins=8, max_source_positions=16, max_target_positions=16, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, **{**LAYERS, "encoder_layers": 2},
    )
    model = hf.WhisperModel(config).encoder
    module = Pick(model, ["input_features"], lambda result: result.last_hidden_state)
    return Source(module, {"input_features": torch.randn(SAMPLES, 8, 32)}, heads=[4, 4])


class Cached(nn.Module):
    """A decoder as it is exported for generation: keys and values of each layer go in and come out."""

    def __init__(self, model, layers):
        super().__init__()
        self.model, self.layers = model, layers

    def forward(self, input_ids, attention_mask, *past):
        cache = hf.DynamicCache()
        for layer in range(self.layers):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        present = [part for layer in result.past_key_values.layers for part in (layer.keys, layer.values)]
        return (result.logits, *present)


def cached(source, key_heads, width=8, layers=2, past=6, new=2):
    model = source.module.model
    ids = tokens(length=new)
    inputs = {"input_ids": ids, "attention_mask": torch.ones(SAMPLES, past + new, dtype=torch.long)}
    axes = {"input_ids": {0: BATCH}, "attention_mask": {0: BATCH}}
    outputs = ["logits"]
    for layer in range(layers):
        for part in ("key", "value"):
            name = f"past_{part}_{layer}"
            inputs[name] = torch.randn(SAMPLES, key_heads, past, width)
            axes[name] = {0: BATCH}
            outputs.append(f"present_{part}_{layer}")
    return Source(
        Cached(model, layers), inputs, axes=axes, outputs=tuple(outputs), labels=torch.roll(ids, -1, 1), heads=source.heads
    )


@export("gpt2-cached", "GPT-2")
def gpt2_cached():
    return cached(decoder(hf.GPT2Config, hf.GPT2LMHeadModel, n_embd=32, n_head=4, n_layer=2, n_positions=64), 4)


@export("llama-cached", "Llama", variants=("opset23",))
def llama_cached():
    return cached(decoder(hf.LlamaConfig, hf.LlamaForCausalLM, num_key_value_heads=2), 2)


@export("mixtral", "Mixtral")
def mixtral():
    return decoder(hf.MixtralConfig, hf.MixtralForCausalLM, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2, experts="batched_mm")


@export("qwen2-moe", "Qwen2-MoE")
def qwen2_moe():
    return decoder(
        hf.Qwen2MoeConfig, hf.Qwen2MoeForCausalLM, num_key_value_heads=2, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=24, shared_expert_intermediate_size=32, experts="batched_mm",
    )


class GatherMoe(nn.Module):
    """Experts in stacked weights: each token's two are gathered, and summed by their shares."""

    def __init__(self, width=16, hidden=24, experts=6):
        super().__init__()
        self.inward, self.outward = nn.Linear(8, width), nn.Linear(width, 4)
        self.router = nn.Linear(width, experts)
        self.up = nn.Parameter(torch.randn(experts, width, hidden) * 0.3)
        self.down = nn.Parameter(torch.randn(experts, hidden, width) * 0.3)

    def forward(self, x):
        x = self.inward(x)
        shares, chosen = self.router(x).topk(2, -1)
        shares = shares.softmax(-1)
        y = F.gelu(torch.einsum("nw,nkwh->nkh", x, self.up[chosen]))
        y = torch.einsum("nkh,nkhw,nk->nw", y, self.down[chosen], shares)
        return self.outward(x + y)


@export("gather-moe", "gather MoE")
def gather_moe():
    return Source(GatherMoe(), {"x": torch.randn(SAMPLES, 8)}, labels=classes(4), outputs=("logits",))


class DenseMoe(nn.Module):
    """Every expert runs; a softmax weighs them."""

    def __init__(self, width=16, hidden=24, experts=4):
        super().__init__()
        self.router = nn.Linear(width, experts)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 5)) for _ in range(experts))

    def forward(self, x):
        shares = self.router(x).softmax(-1)
        return sum(shares[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


@export("dense-moe", "dense MoE")
def dense_moe():
    return Source(DenseMoe(), {"x": torch.randn(SAMPLES, 16)}, labels=classes(5), outputs=("logits",))


SPEECH = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=16, conv_dim=[16, 16, 16],
    conv_kernel=[10, 3, 3], conv_stride=[5, 2, 2], num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    num_feat_extract_layers=3,
)


def speech(config, model_class):
    module = Pick(model_class(config), ["input_values"], lambda result: result.logits)
    return Source(module, {"input_values": torch.randn(SAMPLES, 400)}, outputs=("logits",), heads=[4, 4])


@export("wav2vec2", "Wav2Vec2", variants=("ort-extended", "dynamic"))
def wav2vec2():
    return speech(hf.Wav2Vec2Config(**SPEECH), hf.Wav2Vec2ForCTC)


@export("hubert", "HuBERT")
def hubert():
    return speech(hf.HubertConfig(**SPEECH), hf.HubertForCTC)


class Selective(nn.Module):
    """One layer of Mamba, its scan written out."""

    def __init__(self, width=16, inner=24, state=4):
        super().__init__()
        self.inner, self.state = inner, state
        self.norm, self.inward = nn.LayerNorm(width), nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, 4, padding=3, groups=inner)
        self.select, self.rate = nn.Linear(inner, 2 + 2 * state, bias=False), nn.Linear(2, inner)
        self.log_decay = nn.Parameter(torch.log(torch.arange(1, state + 1).float()).repeat(inner, 1))
        self.skip, self.outward = nn.Parameter(torch.ones(inner)), nn.Linear(inner, width, bias=False)

    def forward(self, x):
        steps = x.shape[1]
        y, gate = self.inward(self.norm(x)).chunk(2, -1)
        y = F.silu(self.conv(y.transpose(1, 2))[:, :, :steps].transpose(1, 2))
        rate, write, read = self.select(y).split((2, self.state, self.state), -1)
        rate = F.softplus(self.rate(rate))
        decay = torch.exp(rate[..., None] * -torch.exp(self.log_decay))
        added = rate[..., None] * write[:, :, None, :] * y[..., None]
        state, outputs = torch.zeros_like(added[:, 0]), []
        for step in range(steps):
            state = decay[:, step] * state + added[:, step]
            outputs.append((state * read[:, step, None, :]).sum(-1))
        y = torch.stack(outputs, 1) + self.skip * y
        return x + self.outward(y * F.silu(gate))


class Stacked(nn.Module):
    """A language model of given layers."""

    def __init__(self, *layers, width=16):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.layers, self.norm, self.head = nn.Sequential(*layers), nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, input_ids):
        return self.head(self.norm(self.layers(self.embedding(input_ids))))


def language(module, length=6):
    ids = tokens(length=length)
    return Source(module, {"input_ids": ids}, outputs=("logits",), labels=torch.roll(ids, -1, 1))


@export("mamba", "Mamba", variants=("opset23",))
def mamba():
    return language(Stacked(Selective(), Selective()))


class TimeMix(nn.Module):
    """One layer of RWKV, its recurrence written out, and its channel mix."""

    def __init__(self, width=16, hidden=32):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix = nn.Parameter(torch.rand(5, width))
        self.decay, self.first = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        self.r, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.r2, self.k2, self.v2 = nn.Linear(width, width, bias=False), nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def mixed(self, x, index):
        before = F.pad(x, (0, 0, 1, -1))
        return x * self.mix[index] + before * (1 - self.mix[index])

    def forward(self, x):
        y = self.norm1(x)
        r, k, v = self.r(self.mixed(y, 0)).sigmoid(), self.k(self.mixed(y, 1)), self.v(self.mixed(y, 2))
        top = torch.zeros_like(k[:, 0])
        bottom, outputs, decay = top, [], torch.exp(-torch.exp(self.decay))
        for step in range(x.shape[1]):
            now = torch.exp(self.first + k[:, step])
            outputs.append((top + now * v[:, step]) / (bottom + now))
            weight = torch.exp(k[:, step])
            top, bottom = decay * top + weight * v[:, step], decay * bottom + weight
        x = x + self.o(r * torch.stack(outputs, 1))
        y = self.norm2(x)
        k = F.relu(self.k2(self.mixed(y, 3))) ** 2
        return x + self.r2(self.mixed(y, 4)).sigmoid() * self.v2(k)


@export("rwkv", "RWKV")
def rwkv():
    return language(Stacked(TimeMix(), TimeMix()))


class Recurrent(nn.Module):
    def __init__(self, cell, **more):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.cell = cell(16, 24, batch_first=True, **more)
        self.head = nn.Linear(24 * (2 if more.get("bidirectional") else 1), 6)

    def forward(self, input_ids):
        return self.head(self.cell(self.embedding(input_ids))[0][:, -1])


def recurrent(cell, **more):
    return Source(Recurrent(cell, **more), {"input_ids": tokens()}, outputs=("logits",), labels=classes(6))


@export("lstm", "LSTM", variants=("opset23", "ort-extended", "dynamic"))
def lstm():
    return recurrent(nn.LSTM)


@export("lstm-bidirectional", "LSTM")
def lstm_bidirectional():
    return recurrent(nn.LSTM, bidirectional=True, num_layers=2)


@export("gru", "GRU", variants=("fp16",))
def gru():
    return recurrent(nn.GRU, num_layers=2)
