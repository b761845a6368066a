import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import { encode, floats, integers, modelFunction, node } from '../models/build-model.ts';
import { build } from '../models/traced-model.ts';
import { random } from './cases/rule-case.ts';
import { checkRemovalOf, structuresOf } from './removal-check.ts';

const TOLERANCE = 1e-5;
/** Of CPU: what takes half a second took 22 where every pixel was a position of its own. */
const MAX_SECONDS = 5;

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-images-'));
});
after(() => rm(directory, { recursive: true }));

async function write(proto: ModelProto): Promise<string> {
  const path = join(directory, 'model.onnx');
  await writeFile(path, encode(proto));
  return path;
}

async function familiesOf(path: string): Promise<string[]> {
  const start = process.cpuUsage();
  const { families } = await structuresOf(path);
  const { user } = process.cpuUsage(start);
  assert.ok(user < MAX_SECONDS * 1e6, `took ${user / 1e6} s`);
  return families.map(({ kind, structures }) => `${kind} ${structures.length}`);
}

async function checkExact(path: string): Promise<void> {
  await using checked = await checkRemovalOf(path);
  assert.ok(checked.removed.size > 0);
  assert.ok(checked.masked <= TOLERANCE && checked.zeroed <= TOLERANCE);
}

/** A group norm as exporters write it. */
function groupNorm(image: (string | number)[], channels: number, groups: number): ModelProto {
  return build({
    inputs: [['x', image]],
    nodes: [
      node('Conv', ['x', 'w1'], ['h'], { pads: [1, 1, 1, 1] }),
      node('Shape', ['h'], ['shape']),
      node('Reshape', ['h', 'grouped'], ['g']),
      node('InstanceNormalization', ['g', 'one', 'zero'], ['n']),
      node('Reshape', ['n', 'shape'], ['back']),
      node('Mul', ['back', 'gamma'], ['m']),
      node('Relu', ['m'], ['r']),
      node('Conv', ['r', 'w2'], ['y']),
    ],
    initializers: [
      ...[random('w1', [channels, 3, 3, 3]), random('gamma', [channels, 1, 1])],
      ...[random('w2', [4, channels, 1, 1]), floats('one', [groups]), floats('zero', [groups])],
      integers('grouped', [0, groups, -1]),
    ],
  });
}

describe('an image of any size takes the time of a small one', () => {
  for (const [title, image] of [
    ['fixed', [1, 3, 256, 256]],
    ['open', ['batch', 3, 'height', 'width']],
  ] as const) {
    test(`a group norm, ${title}`, async () => {
      assert.deepEqual(await familiesOf(await write(groupNorm([...image], 128, 32))), ['channel 32']);
      await checkExact(await write(groupNorm(title === 'fixed' ? [1, 3, 48, 48] : [...image], 16, 4)));
    });
  }

  test('channels that are shuffled', async () => {
    const model = (side: number) =>
      build({
        inputs: [['x', [1, 3, side, side]]],
        nodes: [
          node('Conv', ['x', 'w1'], ['h']),
          node('Reshape', ['h', 'apart'], ['s']),
          node('Transpose', ['s'], ['t'], { perm: [0, 2, 1, 3] }),
          node('Reshape', ['t', 'shape'], ['f']),
          node('Conv', ['f', 'w2'], ['y']),
        ],
        initializers: [
          ...[random('w1', [32, 3, 1, 1]), random('w2', [2, 32, 1, 1])],
          ...[integers('apart', [1, 2, 16, -1]), integers('shape', [1, 32, side, side])],
        ],
      });
    const families = await familiesOf(await write(model(16)));
    assert.deepEqual(await familiesOf(await write(model(512))), families);
    await checkExact(await write(model(16)));
  });

  test('an image that is flattened for a layer', async () => {
    const model = (side: number) =>
      build({
        inputs: [['x', ['batch', 3, side, side]]],
        nodes: [
          node('Conv', ['x', 'w1'], ['h']),
          node('Flatten', ['h'], ['f']),
          node('MatMul', ['f', 'w2'], ['y']),
        ],
        initializers: [random('w1', [16, 3, 1, 1]), random('w2', [16 * side * side, 2])],
      });
    assert.deepEqual(await familiesOf(await write(model(128))), ['channel 16']);
    await checkExact(await write(model(8)));
  });
});

test('functions without names of nodes, inside each other and called two hundred times', async () => {
  const unnamed = (...nodes: ReturnType<typeof node>[]) =>
    nodes.map((each) => Object.assign(each, { name: '' }));
  const dense = modelFunction(
    'dense',
    ['a', 'w'],
    ['b'],
    unnamed(node('MatMul', ['a', 'w'], ['m']), node('Relu', ['m'], ['b'])),
  );
  const block = modelFunction(
    'block',
    ['a', 'up', 'down'],
    ['b'],
    unnamed(
      node('dense', ['a', 'up'], ['h'], {}, 'local'),
      node('dense', ['h', 'down'], ['d'], {}, 'local'),
      node('Add', ['a', 'd'], ['s']),
      node('Tanh', ['s'], ['b']),
    ),
  );
  const count = 100;
  const calls = Array.from({ length: count }, (_, i) =>
    node('block', [i === 0 ? 'x' : `v${i - 1}`, `up${i % 4}`, `down${i % 4}`], [`v${i}`], {}, 'local'),
  );
  const proto = build({
    nodes: unnamed(...calls),
    outputs: [`v${count - 1}`],
    initializers: [0, 1, 2, 3].flatMap((i) => [random(`up${i}`, [4, 9]), random(`down${i}`, [9, 4])]),
  });
  proto.functions = [dense, block];
  proto.opsetImport.push({ ...proto.opsetImport[0], domain: 'local', version: 1n });
  const path = await write(proto);
  assert.deepEqual(await familiesOf(path), ['channel 9', 'channel 9', 'channel 9', 'channel 9']);
  await checkExact(path);
});
