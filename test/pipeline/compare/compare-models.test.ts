import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { EmpError } from '../../../src/core/errors.ts';
import { ModelProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { assertClose } from '../../core/oracle.ts';
import { value } from '../../models/build-model.ts';
import { qdq, quantizedPair } from '../../models/quantized-models.ts';
import { FORMATS } from '../../models/quantized-numbers.ts';
import { writeMlp } from '../../models/small-mlp.ts';
import { readTensors, unpack } from '../../models/small-safetensors.ts';
import { pruneFiles } from '../prune-files.ts';
import { compareFiles, editedCopy, encodeModel, numbersOf } from './compared-models.ts';

const LAYERS = [90, 70, 30, 6];
const NAMES = ['fc0.weight', 'fc1.weight', 'fc2.weight'];
const mlp = await writeMlp(LAYERS, 200);
after(() => mlp[Symbol.asyncDispose]());
const original = await readFile(mlp.path);
const dense = fromBinary(ModelProtoSchema, original);
const weightsOf = (name: string) => Array.from(numbersOf(dense, name));

/** Every third weight gone, and of the last layer the two thirds of another rule. */
const isDropped = (index: number, name: string) => (name === NAMES[2] ? index % 3 !== 1 : index % 3 === 0);
const byHand = encodeModel(editedCopy(original, (value, i, name) => (isDropped(i, name) ? 0 : value)));

/** The places of the `keep` largest magnitudes, of equal ones the first. */
function largest(values: readonly number[], keep: number): Set<number> {
  const order = [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b);
  return new Set(order.slice(0, keep));
}

function massOf(values: readonly number[], kept: ReadonlySet<number>): number {
  const sum = (places: Iterable<number>) => [...places].reduce((all, i) => all + Math.abs(values[i]), 0);
  return sum(kept) / sum(values.keys());
}

const placesOf = (values: readonly unknown[], isKept: (index: number) => boolean) =>
  new Set([...values.keys()].filter(isKept));

function choiceOf(values: readonly number[], theirs: ReadonlySet<number>, ours: ReadonlySet<number>) {
  const both = [...ours].filter((i) => theirs.has(i)).length;
  return {
    n_keep: ours.size,
    preserved_mass: massOf(values, ours),
    jaccard: both / (ours.size + theirs.size - both),
    shared: both / theirs.size,
  };
}

/** Equal but for the last bits of sums. */
function assertFigures(actual: unknown, expected: unknown, what: string): void {
  if (typeof expected === 'number') {
    assertClose(actual as number, expected, what, 1e-6);
    return;
  }
  assert.deepEqual(Object.keys(actual as object).sort(), Object.keys(expected as object).sort(), what);
  for (const [key, value] of Object.entries(expected as object))
    assertFigures((actual as Record<string, unknown>)[key], value, `${what}.${key}`);
}

describe('a copy pruned by hand', () => {
  test('masks, overlap and mass are those of a direct computation', async (t) => {
    const { comparison, directory } = await compareFiles(t, [original, byHand]);
    const all = NAMES.flatMap(weightsOf);
    const kept = NAMES.flatMap((name) => weightsOf(name).map((_, i) => !isDropped(i, name)));
    const theirs = placesOf(all, (i) => kept[i]);
    const everywhere = largest(all, theirs.size);
    const inEach = new Set<number>();
    let offset = 0;
    for (const [layer, name] of NAMES.entries()) {
      const values = weightsOf(name);
      const own = placesOf(values, (i) => !isDropped(i, name));
      const ours = largest(values, own.size);
      for (const i of ours) inEach.add(offset + i);
      const global = placesOf(values, (i) => everywhere.has(offset + i));
      offset += values.length;
      const { masks, ...tensor } = comparison.tensors[layer];
      assert.deepEqual(
        [tensor.name, tensor.change, tensor.n, tensor.n_keep, tensor.zeros_added, tensor.values_changed],
        [name, 'masked', values.length, own.size, values.length - own.size, 0],
      );
      assertFigures(
        masks,
        {
          n: values.length,
          n_keep: own.size,
          preserved_mass: massOf(values, own),
          global: choiceOf(values, own, global),
          layer: choiceOf(values, own, ours),
        },
        name,
      );
    }
    assertFigures(
      comparison.total.masks,
      {
        n: all.length,
        n_keep: theirs.size,
        preserved_mass: massOf(all, theirs),
        global: choiceOf(all, theirs, everywhere),
        layer: choiceOf(all, theirs, inEach),
      },
      'total',
    );
    assert.ok(comparison.total.is_mask);
    assert.equal(comparison.total.sparsity, 1 - theirs.size / all.length);
    assert.match(comparison.verdict[0], /it is a mask/);
    const written = await readTensors(join(directory, 'masks.safetensors'));
    for (const [layer, name] of NAMES.entries()) {
      const mask = written.get(name) ?? new Uint8Array();
      const values = weightsOf(name);
      assert.deepEqual(
        unpack(mask, values.length),
        values.map((_, i) => !isDropped(i, name)),
      );
      const hash = createHash('sha256').update(mask).digest('hex');
      assert.equal(comparison.tensors[layer].mask_sha256, hash);
    }
    assert.deepEqual((await readdir(directory)).sort(), ['compare.json', 'masks.safetensors']);
  });

  test("EMP's own pruned model is EMP's choice of its size", async (t) => {
    await using pruned = await pruneFiles(mlp.path, { scope: 'global' });
    const bytes = await readFile(join(pruned.directory, 'mlp.onnx'));
    const { comparison } = await compareFiles(t, [original, bytes], { evaluation: mlp.samples });
    const { total, verdict } = comparison;
    // By one threshold for all it is the choice of each tensor too.
    assert.match(verdict.at(-1) ?? '', /the choice by magnitude itself: .* There is no other choice of that/);
    assert.equal(total.n_keep, pruned.report.total.n_keep);
    assert.deepEqual([total.masks?.global.jaccard, total.masks?.global.shared], [1, 1]);
    assert.equal(total.masks?.preserved_mass, total.masks?.global.preserved_mass);
  });

  test('losses are those of a direct computation, and so is the error of the lead', async (t) => {
    const evaluation = mlp.samples;
    const { comparison } = await compareFiles(t, [original, byHand], { evaluation });
    const found = comparison.evaluation;
    const pruned = NAMES.map((name) => weightsOf(name).map((value, i) => (isDropped(i, name) ? 0 : value)));
    const ofEach = NAMES.map((name, layer) => {
      const kept = largest(weightsOf(name), pruned[layer].filter((value) => value !== 0).length);
      return weightsOf(name).map((value, i) => (kept.has(i) ? value : 0));
    });
    const [before, theirs, ours] = await Promise.all([NAMES.map(weightsOf), pruned, ofEach].map(lossesOf));
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    assertClose(found?.original.loss ?? 0, mean(before), 'original', 1e-5);
    assertClose(found?.pruned.loss ?? 0, mean(theirs), 'pruned', 1e-5);
    assertClose(found?.layer.loss ?? 0, mean(ours), 'layer', 1e-5);
    const leads = theirs.map((loss, sample) => loss - ours[sample]);
    const lead = mean(leads);
    assertClose(found?.better.layer.difference ?? 0, lead, 'lead', 1e-4);
    const variance = leads.reduce((sum, value) => sum + (value - lead) ** 2, 0) / (leads.length - 1);
    assertClose(found?.better.layer.standard_error ?? 0, Math.sqrt(variance / leads.length), 'error', 1e-4);
    assert.deepEqual([found?.pruned_mask, found?.better.found, found?.better.metric], [null, true, 'loss']);
    assert.match(comparison.verdict.at(-1) ?? '', /A better choice of that size was found/);
  });

  test('without labels masks are held against each other by their drift', async (t) => {
    const evaluation = { ...mlp.samples, labels: null };
    const { better } =
      (await compareFiles(t, [original, byHand], { evaluation })).comparison.evaluation ?? {};
    assert.deepEqual([better?.metric, better?.found], ['squared_relative_l2', true]);
  });

  test('the largest magnitudes themselves leave nothing to be found', async (t) => {
    const kept = new Map(NAMES.map((name) => [name, largest(weightsOf(name), 100)]));
    const same = encodeModel(editedCopy(original, (value, i, name) => (kept.get(name)?.has(i) ? value : 0)));
    const { comparison } = await compareFiles(t, [original, same], { evaluation: mlp.samples });
    const { total, evaluation } = comparison;
    assert.deepEqual([total.masks?.layer.jaccard, evaluation?.better.layer.difference], [1, 0]);
    assert.equal(evaluation?.layer.loss, evaluation?.pruned.loss);
  });
});

describe('other models of the original', () => {
  test('values that were fitted anew are told, and their mask is measured by itself', async (t) => {
    const refitted = editedCopy(original, (value, i, name) => (isDropped(i, name) ? 0 : 1.1 * value));
    const given = [original, encodeModel(refitted)] as const;
    const { comparison } = await compareFiles(t, given, { evaluation: mlp.samples });
    const { total, tensors, evaluation, verdict } = comparison;
    assert.deepEqual([total.is_mask, total.values_changed], [false, total.n_keep]);
    assert.ok(tensors.every(({ change }) => change === 'refitted'));
    assert.match(verdict[0], /fitted anew/);
    const masked = (await compareFiles(t, [original, byHand], { evaluation: mlp.samples })).comparison;
    assert.equal(evaluation?.pruned_mask?.loss, masked.evaluation?.pruned.loss);
    assert.notEqual(evaluation?.pruned.loss, evaluation?.pruned_mask?.loss);
    assert.deepEqual(evaluation?.better, masked.evaluation?.better);
  });

  test('the same values under another id: nothing differs', async (t) => {
    const { comparison } = await compareFiles(t, [original, original]);
    assert.deepEqual(comparison.verdict, ['No weight differs between the two models.']);
  });

  test('structures removed: axes, counts, and EMP with as many weights', async (t) => {
    const recipe = {
      granularity: 'channel',
      criterion: 'l2_norm',
      scope: 'layer',
      budget: { sparsity: 0.5 },
    };
    await using smaller = await pruneFiles(mlp.path, recipe);
    const bytes = await readFile(join(smaller.directory, 'mlp.onnx'));
    const { comparison } = await compareFiles(t, [original, bytes], { evaluation: mlp.samples });
    const shapes = (from: readonly number[], to: readonly number[]) =>
      from.flatMap((size, axis) => (size === to[axis] ? [] : [{ axis, from: size, to: to[axis] }]));
    const after = fromBinary(ModelProtoSchema, bytes).graph?.initializer ?? [];
    for (const [layer, { name, change, removed, n_keep, masks }] of comparison.tensors.entries()) {
      const dims = after.find((tensor) => tensor.name === name)?.dims.map(Number) ?? [];
      assert.deepEqual([change, masks], ['removed', null]);
      assert.deepEqual(removed, shapes([LAYERS[layer], LAYERS[layer + 1]], dims));
      assert.equal(n_keep, dims[0] * dims[1]);
    }
    assert.equal(comparison.total.masks, null);
    const { global, layer, pruned } = comparison.evaluation ?? {};
    assert.deepEqual(
      [global?.sparsity, layer?.sparsity, pruned?.sparsity],
      Array(3).fill(comparison.total.sparsity),
    );
    assert.ok(comparison.verdict.some((sentence) => /Structures were removed from 3 tensors/.test(sentence)));
  });

  test('renamed initializers are matched by the nodes that read them', async (t) => {
    const renamed = fromBinary(ModelProtoSchema, byHand);
    for (const { initializer, node } of [renamed.graph!]) {
      for (const tensor of initializer) tensor.name = `onnx::${tensor.name}`;
      for (const each of node)
        each.input = each.input.map((name) => (NAMES.includes(name) ? `onnx::${name}` : name));
    }
    const given = [original, encodeModel(renamed)] as const;
    const { tensors, total, only_in_original } = (await compareFiles(t, given)).comparison;
    assert.deepEqual(
      tensors.map(({ name, pruned_name, matched_by }) => [name, pruned_name, matched_by]),
      NAMES.map((name) => [name, `onnx::${name}`, 'position']),
    );
    assert.deepEqual(only_in_original, []);
    assert.deepEqual(total, (await compareFiles(t, [original, byHand])).comparison.total);
  });

  test('everything dropped from a layer', async (t) => {
    const emptied = encodeModel(editedCopy(original, (value, _, name) => (name === NAMES[1] ? 0 : value)));
    const { tensors, total } = (await compareFiles(t, [original, emptied], { evaluation: mlp.samples }))
      .comparison;
    assert.deepEqual(
      [tensors[1].n_keep, tensors[1].masks?.layer.n_keep, tensors[1].masks?.layer.jaccard],
      [0, 0, null],
    );
    assert.equal(total.masks?.global.n_keep, total.n_keep);
  });
});

describe('what cannot be compared is said precisely', () => {
  const refusal =
    (pattern: RegExp, code = 'invalid_request') =>
    (error: unknown) => {
      assert.ok(error instanceof EmpError);
      assert.equal(error.code, code);
      assert.match(error.message, pattern);
      return true;
    };

  test('unrelated models', async (t) => {
    await using other = await writeMlp([4, 3], 2);
    const stranger = fromBinary(ModelProtoSchema, await readFile(other.path));
    stranger.graph!.initializer[0].name = 'w';
    stranger.graph!.node[0].input[1] = 'w';
    stranger.graph!.node[0].output[0] = 'else';
    stranger.graph!.output[0].name = 'else';
    const pattern =
      /nothing in common.*the original has fc0\.weight \(float32 \[90,70\]\).*w \(float32 \[4,3\]\)/;
    await assert.rejects(compareFiles(t, [original, encodeModel(stranger)]), refusal(pattern));
  });

  test('weights in another layout, and of other sizes', async (t) => {
    const turned = fromBinary(ModelProtoSchema, original);
    for (const tensor of turned.graph!.initializer) tensor.dims.reverse();
    await assert.rejects(
      compareFiles(t, [original, encodeModel(turned)]),
      refusal(
        /none of the 3 weights.*fc0\.weight lies in another layout, \[90,70\] in the original and \[70,90\]/,
      ),
    );
    await using other = await writeMlp([91, 71, 31, 7], 2);
    const larger = await readFile(other.path);
    await assert.rejects(
      compareFiles(t, [original, larger]),
      refusal(/fc0\.weight has another shape, \[90,70\]/),
    );
  });

  test('weights that were quantized', async (t) => {
    const form = qdq('int8', 19, { format: FORMATS.int8, along: 1, hasZeroPoints: true });
    const { quantized, dense: floats } = quantizedPair(form);
    await assert.rejects(
      compareFiles(t, [encodeModel(floats), encodeModel(quantized)]),
      refusal(
        /w1 is float32 in the original and int8 in the pruned model: quantizing rounds weights to zero/,
      ),
    );
  });

  test('data for a model without a graph', async (t) => {
    const { createSafetensors } = await import('../../models/safetensors-bytes.ts');
    const file = createSafetensors({ 'a.weight': [2, 3] });
    const given = { name: 'model.safetensors', evaluation: mlp.samples };
    await assert.rejects(compareFiles(t, [file, file], given), refusal(/has no graph/, 'unsupported_model'));
  });

  test('other inputs', async (t) => {
    const other = fromBinary(ModelProtoSchema, byHand);
    other.graph!.input[0].name = 'pixels';
    other.graph!.node[0].input[0] = 'pixels';
    await assert.rejects(
      compareFiles(t, [original, encodeModel(other)], { evaluation: mlp.samples }),
      refusal(/the pruned model has the inputs "pixels", and the original "input"/),
    );
  });

  test('inputs of another type', async (t) => {
    const half = fromBinary(ModelProtoSchema, byHand);
    half.graph!.input = [value('input', ['batch', LAYERS[0]], 'FLOAT16')];
    await assert.rejects(
      compareFiles(t, [original, encodeModel(half)], { evaluation: mlp.samples }),
      refusal(/takes the input "input" as float16, and the original as float32: .* export it with float32/),
    );
    const { total } = (await compareFiles(t, [original, encodeModel(half)])).comparison;
    assert.ok(total.is_mask);
  });
});

/** Cross-entropy of every sample, by the layers' weights `[in, out]`. */
async function lossesOf(layers: readonly (readonly number[])[]): Promise<number[]> {
  const read = async ({ path, offset }: { path: string; offset: number }) =>
    Uint8Array.from((await readFile(path)).subarray(offset)).buffer;
  const [input] = mlp.samples.inputs;
  const inputs = new Float32Array(await read(input));
  const labels = new BigInt64Array(await read(mlp.samples.labels!));
  return Array.from(labels, (label, sample) => {
    let values = Array.from(inputs.subarray(sample * LAYERS[0], (sample + 1) * LAYERS[0]));
    for (const [layer, matrix] of layers.entries()) {
      const width = LAYERS[layer + 1];
      const next = Array.from({ length: width }, (_, column) =>
        values.reduce((sum, value, row) => sum + value * matrix[row * width + column], 0),
      );
      values = layer === layers.length - 1 ? next : next.map((value) => Math.max(0, value));
    }
    const highest = Math.max(...values);
    return (
      highest +
      Math.log(values.reduce((sum, value) => sum + Math.exp(value - highest), 0)) -
      values[Number(label)]
    );
  });
}
