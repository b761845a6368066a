import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modelInputs } from '../../src/graph/interface.ts';
import { readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import { tieCacheAxes } from '../../src/runtime/cache-axes.ts';
import { node } from '../models/build-model.ts';
import { build, filesOf, trace } from '../models/traced-model.ts';
import { bytesOf, decoderModel, type FedModel } from './fed-models.ts';

/** Shapes of ids, mask and keys in both runs. */
async function sizesOf(fed: FedModel) {
  const traced = await trace(bytesOf(fed));
  const names = [fed.inputs[0][0], fed.inputs[1][0], fed.inputs[3][0]];
  return names.map((name) => traced.shapesOf(name));
}

/** Of every run: new positions, past ones, and those of the mask. */
async function lengthsOf(fed: FedModel) {
  const [ids, mask, keys] = await sizesOf(fed);
  return [0, 1].map((run) => [ids![run][1], keys![run][2], mask![run][1]]);
}

const renamed = (fed: FedModel, names: Record<string, string>): FedModel => ({
  ...fed,
  inputs: fed.inputs.map(([name, dims, dtype]) => [names[name] ?? name, dims, dtype]),
  nodes: fed.nodes.map((each) => ({ ...each, input: each.input.map((name) => names[name] ?? name) })),
});

describe('the mask of a decoder is as long as past and new positions', () => {
  const named: Record<string, FedModel> = {
    'that its name adds up': decoderModel(['batch', 'seq', 'past_len', 'past_len + seq']),
    'called a total': decoderModel([
      'batch_size',
      'sequence_length',
      'past_sequence_length',
      'total_sequence_length',
    ]),
    'called by names of no meaning': decoderModel(['a', 'b', 'c', 'd']),
    'without names': decoderModel(['', '', '', '']),
    'called as the new ones': decoderModel(['batch', 'seq', 'past', 'seq']),
    'called as the past ones': decoderModel(['batch', 'seq', 'past', 'past']),
    'of an input that is not called a mask': renamed(decoderModel(['a', 'b', 'c', 'd']), {
      attention_mask: 'visible',
    }),
    'beside caches that are not called so': renamed(decoderModel(['batch', 's0', 's1', 's2']), {
      'past_key_values.0.key': 'k0',
      'past_key_values.0.value': 'v0',
    }),
  };
  for (const [name, fed] of Object.entries(named)) {
    test(name, async () => {
      const lengths = await lengthsOf(fed);
      for (const [fresh, past, total] of lengths) assert.equal(total, fresh + past);
      const [first, second] = lengths;
      for (const i of [0, 1, 2]) assert.notEqual(first[i], second[i]);
    });
  }

  test('and one where a step takes one position', async () => {
    const fed = decoderModel(['batch', 'sequence_length', 'past_sequence_length', 'total_sequence_length']);
    const squeezed: FedModel = {
      ...fed,
      nodes: [...fed.nodes, node('Squeeze', ['input_ids', 'second'], ['token'])],
      initializers: [
        ...fed.initializers,
        { ...fed.initializers[9], name: 'second', dims: [1n], int64Data: [1n] },
      ],
    };
    assert.deepEqual(await lengthsOf(squeezed), [
      [1, 7, 8],
      [1, 11, 12],
    ]);
  });

  for (const steps of [1, 3]) {
    test(`also where there are always ${steps} new ones`, async () => {
      const fed = decoderModel(['batch', 'seq', 'past', 'total']);
      const inputs = fed.inputs.map(([name, dims, dtype]): FedModel['inputs'][number] => [
        name,
        dims.map((size) => (size === 'seq' ? steps : size)),
        dtype,
      ]);
      const lengths = await lengthsOf({ ...fed, inputs });
      for (const [fresh, past, total] of lengths) assert.deepEqual([fresh, total], [steps, past + steps]);
      assert.notEqual(lengths[0][1], lengths[1][1]);
    });
  }

  test('or as the cache, where that is written in place', async () => {
    const parts = {
      inputs: [
        ['ids', ['batch', 'seq'], 'INT64'],
        ['mask', ['batch', 'length']],
        ['key_cache', ['batch', 'room', 4]],
      ] as NonNullable<Parameters<typeof build>[0]['inputs']>,
      nodes: [
        node('Transpose', ['key_cache'], ['k'], { perm: [2, 0, 1] }),
        node('Add', ['k', 'mask'], ['m']),
        node('Cast', ['ids'], ['f'], { to: 1 }),
        node('Abs', ['f'], ['y']),
      ],
      outputs: ['y', 'm'],
    };
    const traced = await trace(build(parts));
    const [mask, cache] = ['mask', 'key_cache'].map((name) => traced.shapesOf(name)!);
    for (const run of [0, 1]) assert.equal(mask[run][1], cache[run][1]);
  });
});

test('nothing is tied in a model without a cache', async () => {
  const proto = build({
    inputs: [
      ['input_ids', ['batch', 'seq'], 'INT64'],
      ['attention_mask', ['batch', 'total'], 'INT64'],
      ['pixels', ['batch', 3, 'height', 'width']],
    ],
    nodes: [node('Abs', ['pixels'], ['y'])],
  });
  assert.deepEqual(tieCacheAxes(modelInputs(await readOnnxModel(filesOf(proto)))), []);
});
