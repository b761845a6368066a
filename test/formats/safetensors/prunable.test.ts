import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RowLayout } from '../../../src/formats/model.ts';
import { classifyTensor } from '../../../src/formats/safetensors/prunable.ts';

type Shape = readonly number[];
type Expected = readonly [outer: number, reduced: number, units: number, inner: number] | 'left alone';

/** Names and shapes of published checkpoints (widths reduced where they do not matter), and how their rows lie. */
const CHECKPOINTS: Readonly<Record<string, readonly (readonly [string, Shape, Expected])[]>> = {
  'Llama, Mistral, Qwen': [
    ['model.embed_tokens.weight', [32000, 64], 'left alone'],
    ['model.layers.0.self_attn.q_proj.weight', [64, 64], [1, 1, 64, 64]],
    ['model.layers.0.self_attn.q_proj.bias', [64], 'left alone'],
    ['model.layers.0.self_attn.q_norm.weight', [64], 'left alone'],
    ['model.layers.0.mlp.down_proj.weight', [64, 172], [1, 1, 64, 172]],
    ['model.layers.0.input_layernorm.weight', [64], 'left alone'],
    ['model.layers.0.self_attn.rotary_emb.inv_freq', [32], 'left alone'],
    ['lm_head.weight', [32000, 64], [1, 1, 32000, 64]],
  ],
  'Llama as Meta published it': [
    ['tok_embeddings.weight', [32000, 64], 'left alone'],
    ['layers.0.attention.wq.weight', [64, 64], [1, 1, 64, 64]],
    ['layers.0.feed_forward.w1.weight', [172, 64], [1, 1, 172, 64]],
    ['output.weight', [32000, 64], [1, 1, 32000, 64]],
  ],
  'GPT-2: Conv1D keeps [in, out]': [
    ['transformer.wte.weight', [50257, 768], 'left alone'],
    ['transformer.wpe.weight', [1024, 768], 'left alone'],
    ['transformer.h.0.ln_1.weight', [768], 'left alone'],
    ['transformer.h.0.attn.bias', [1, 1, 1024, 1024], 'left alone'],
    ['transformer.h.0.attn.c_attn.weight', [768, 2304], [1, 768, 2304, 1]],
    ['transformer.h.0.attn.c_proj.weight', [768, 768], [1, 768, 768, 1]],
    ['transformer.h.0.crossattention.q_attn.weight', [768, 768], [1, 768, 768, 1]],
    ['transformer.h.0.mlp.c_fc.weight', [768, 3072], [1, 768, 3072, 1]],
    ['transformer.h.0.mlp.c_proj.weight', [3072, 768], [1, 3072, 768, 1]],
  ],
  'GPT-2 without the prefix': [
    ['h.0.attn.c_attn.weight', [768, 2304], [1, 768, 2304, 1]],
    ['h.0.attn.c_proj.weight', [768, 768], [1, 768, 768, 1]],
  ],
  'nanoGPT: the names of GPT-2, Linears': [
    ['transformer.h.0.attn.c_attn.weight', [2304, 768], [1, 1, 2304, 768]],
    ['transformer.h.0.attn.c_proj.weight', [768, 768], [1, 1, 768, 768]],
    ['transformer.h.0.mlp.c_fc.weight', [3072, 768], [1, 1, 3072, 768]],
    ['transformer.h.0.mlp.c_proj.weight', [768, 3072], [1, 1, 768, 3072]],
  ],
  'CLIP as OpenAI published it': [
    ['visual.conv1.weight', [768, 3, 32, 32], [1, 1, 768, 3072]],
    ['visual.positional_embedding', [50, 768], 'left alone'],
    ['visual.proj', [768, 512], 'left alone'],
    ['token_embedding.weight', [49408, 512], 'left alone'],
    ['transformer.resblocks.0.attn.in_proj_weight', [1536, 512], [1, 1, 1536, 512]],
    ['transformer.resblocks.0.attn.out_proj.weight', [512, 512], [1, 1, 512, 512]],
    ['transformer.resblocks.0.mlp.c_fc.weight', [2048, 512], [1, 1, 2048, 512]],
    ['transformer.resblocks.0.mlp.c_proj.weight', [512, 2048], [1, 1, 512, 2048]],
  ],
  BERT: [
    ['bert.embeddings.word_embeddings.weight', [30522, 768], 'left alone'],
    ['bert.embeddings.position_embeddings.weight', [512, 768], 'left alone'],
    ['bert.embeddings.token_type_embeddings.weight', [2, 768], 'left alone'],
    ['bert.embeddings.LayerNorm.weight', [768], 'left alone'],
    ['bert.encoder.layer.0.attention.self.query.weight', [768, 768], [1, 1, 768, 768]],
    ['bert.pooler.dense.weight', [768, 768], [1, 1, 768, 768]],
  ],
  T5: [
    ['shared.weight', [32128, 512], 'left alone'],
    ['encoder.embed_tokens.weight', [32128, 512], 'left alone'],
    ['encoder.block.0.layer.0.SelfAttention.q.weight', [512, 512], [1, 1, 512, 512]],
    ['encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight', [32, 8], 'left alone'],
    ['decoder.block.0.layer.2.DenseReluDense.wi.weight', [2048, 512], [1, 1, 2048, 512]],
  ],
  'GPT-NeoX': [
    ['gpt_neox.embed_in.weight', [50432, 64], 'left alone'],
    ['gpt_neox.layers.0.attention.query_key_value.weight', [192, 64], [1, 1, 192, 64]],
    ['gpt_neox.layers.0.attention.bias', [1, 1, 2048, 2048], 'left alone'],
    ['embed_out.weight', [50432, 64], [1, 1, 50432, 64]],
  ],
  'vision transformers': [
    ['patch_embed.proj.weight', [192, 3, 16, 16], [1, 1, 192, 768]],
    ['vit.embeddings.patch_embeddings.projection.weight', [192, 3, 16, 16], [1, 1, 192, 768]],
    ['vision_model.embeddings.patch_embedding.weight', [768, 3, 14, 14], [1, 1, 768, 588]],
    ['vision_model.embeddings.position_embedding.weight', [257, 768], 'left alone'],
    ['visual.patch_embed.proj.weight', [1280, 3, 2, 14, 14], [1, 1, 1280, 1176]],
    ['cls_token', [1, 1, 192], 'left alone'],
    ['pos_embed', [1, 197, 192], 'left alone'],
    ['blocks.0.attn.qkv.weight', [576, 192], [1, 1, 576, 192]],
    ['layers.0.blocks.0.attn.relative_position_bias_table', [169, 3], 'left alone'],
  ],
  'ResNet, MobileNet': [
    ['conv1.weight', [64, 3, 7, 7], [1, 1, 64, 147]],
    ['bn1.weight', [64], 'left alone'],
    ['bn1.running_mean', [64], 'left alone'],
    ['layer2.0.downsample.0.weight', [128, 64, 1, 1], [1, 1, 128, 64]],
    ['features.1.conv.0.0.weight', [32, 1, 3, 3], [1, 1, 32, 9]],
    ['fc.weight', [1000, 512], [1, 1, 1000, 512]],
  ],
  'diffusion models': [
    ['time_embedding.linear_1.weight', [1280, 320], [1, 1, 1280, 320]],
    ['transformer_blocks.0.norm1.linear.weight', [1152, 192], [1, 1, 1152, 192]],
    ['x_embedder.weight', [192, 64], [1, 1, 192, 64]],
    ['pos_embed.proj.weight', [192, 16, 2, 2], [1, 1, 192, 64]],
    ['y_embedder.embedding_table.weight', [1001, 192], 'left alone'],
    ['quantize.embedding.weight', [8192, 256], 'left alone'],
    ['scale_shift_table', [6, 192], 'left alone'],
  ],
  'Whisper, wav2vec': [
    ['model.encoder.conv1.weight', [384, 80, 3], [1, 1, 384, 240]],
    ['model.encoder.embed_positions.weight', [1500, 384], 'left alone'],
    ['encoder.pos_conv_embed.conv.weight_v', [768, 48, 128], 'left alone'],
  ],
  Mamba: [
    ['backbone.layers.0.mixer.in_proj.weight', [3072, 768], [1, 1, 3072, 768]],
    ['backbone.layers.0.mixer.conv1d.weight', [1536, 1, 4], 'left alone'],
    ['backbone.layers.0.mixer.A_log', [1536, 16], 'left alone'],
  ],
  'recurrent networks': [
    ['lstm.weight_ih_l0', [256, 32], [1, 1, 256, 32]],
    ['lstm.weight_hh_l1_reverse', [256, 64], [1, 1, 256, 64]],
    ['lstm.bias_ih_l0', [256], 'left alone'],
    ['cell.weight_hh', [256, 64], [1, 1, 256, 64]],
  ],
  'efficient-kan': [
    ['layers.0.base_weight', [64, 784], [1, 1, 64, 784]],
    ['layers.0.spline_weight', [64, 784, 8], [1, 1, 64, 6272]],
    ['layers.0.spline_scaler', [64, 784], 'left alone'],
    ['layers.0.grid', [784, 12], 'left alone'],
  ],
  'LoRA adapters': [
    ['base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight', [8, 64], [1, 1, 8, 64]],
    ['base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight', [64, 8], [1, 1, 64, 8]],
  ],
  'experts apart (Mixtral)': [
    ['model.layers.0.block_sparse_moe.gate.weight', [8, 64], [1, 1, 8, 64]],
    ['model.layers.0.block_sparse_moe.experts.7.w1.weight', [172, 64], [1, 1, 172, 64]],
  ],
  'experts stacked [experts, in, out] (gpt-oss, Llama 4)': [
    ['model.layers.0.mlp.experts.gate_up_proj', [4, 64, 64], [4, 64, 64, 1]],
    ['model.layers.0.mlp.experts.down_proj', [4, 32, 64], [4, 32, 64, 1]],
    ['model.layers.0.mlp.experts.gate_up_proj_bias', [4, 64], 'left alone'],
  ],
  'experts stacked [experts, out, in]': [
    ['model.layers.0.mlp.experts.gate_up_proj', [4, 64, 64], [4, 1, 64, 64]],
    ['model.layers.0.mlp.experts.down_proj', [4, 64, 32], [4, 1, 64, 32]],
  ],
  'Granite MoE': [
    ['model.layers.0.block_sparse_moe.input_linear.weight', [4, 128, 64], [4, 1, 128, 64]],
    ['model.layers.0.block_sparse_moe.output_linear.weight', [4, 64, 64], [4, 1, 64, 64]],
  ],
};

function classifyIn(tensors: readonly (readonly [string, Shape, ...unknown[]])[], dtype = 'bfloat16') {
  const shapes = new Map(tensors.map(([name, shape]) => [name, shape]));
  return (name: string) => classifyTensor(name, shapes.get(name) ?? [], dtype, (other) => shapes.get(other));
}

for (const [checkpoint, tensors] of Object.entries(CHECKPOINTS)) {
  describe(checkpoint, () => {
    const classify = classifyIn(tensors);
    for (const [name, shape, expected] of tensors) {
      test(`${name} [${shape}]`, () => {
        if (expected === 'left alone') {
          assert.deepEqual(classify(name), { role: 'other', prunable: false, rows: null });
          return;
        }
        const [outer, reduced, units, inner] = expected;
        const rows: RowLayout = { outer, reduced, units, inner };
        assert.deepEqual(classify(name), { role: 'weight', prunable: true, rows });
        assert.equal(
          outer * reduced * units * inner,
          shape.reduce((product, dimension) => product * dimension, 1),
        );
      });
    }
  });
}

test('stacked experts whose pair fits neither order have no rows', () => {
  const tensors = [
    ['experts.gate_up_proj', [4, 64, 100]],
    ['experts.down_proj', [4, 32, 64]],
  ] as const;
  const expected = { role: 'weight', prunable: true, rows: null };
  assert.deepEqual(classifyIn(tensors)('experts.gate_up_proj'), expected);
  assert.deepEqual(classifyIn(tensors.slice(1))('experts.down_proj'), expected);
});

test('a weight in 8 bits or fewer, or in whole numbers, is a weight and not prunable', () => {
  for (const dtype of ['float8_e4m3fn', 'float4_e2m1fn', 'int8', 'uint8', 'complex64']) {
    const { role, prunable } = classifyTensor('fc.weight', [4, 4], dtype, () => undefined);
    assert.deepEqual([role, prunable], ['weight', false], dtype);
  }
  for (const dtype of ['float16', 'bfloat16', 'float32', 'float64'])
    assert(classifyTensor('fc.weight', [4, 4], dtype, () => undefined).prunable, dtype);
});
