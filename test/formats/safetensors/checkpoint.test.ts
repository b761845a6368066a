import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { EmpError, type ErrorCode } from '../../../src/core/errors.ts';
import { type ByteSource, bytesSource } from '../../../src/formats/byte-source.ts';
import { openFileSource } from '../../../src/formats/file-source.ts';
import type { ModelInventory } from '../../../src/formats/model.ts';
import { readSafetensorsInventory } from '../../../src/formats/safetensors/checkpoint.ts';
import { sharedFixtures } from '../../shared.ts';
import { createFloatFile } from './header-bytes.ts';

const INDEX = 'model.safetensors.index.json';
const A = 'model-00001-of-00002.safetensors';
const B = 'model-00002-of-00002.safetensors';
const SHARDS = {
  [B]: createFloatFile({ 'lm_head.weight': [5, 3] }),
  [A]: createFloatFile({ 'layers.1.weight': [4, 3], 'layers.0.weight': [2, 3] }),
};
const WEIGHT_MAP = { 'lm_head.weight': B, 'layers.1.weight': A, 'layers.0.weight': A };

function read(files: Readonly<Record<string, Uint8Array | string>>): Promise<ModelInventory> {
  const sources = Object.entries(files).map(([name, content]): [string, ByteSource] => [
    name,
    bytesSource(Buffer.from(content)),
  ]);
  return readSafetensorsInventory(new Map(sources));
}
const index = (weight_map: unknown) => JSON.stringify({ metadata: { total_size: 132 }, weight_map });

async function refused(files: Parameters<typeof read>[0], code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(read(files), (error) => {
    assert(error instanceof EmpError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

describe('files of a model', () => {
  test('shards: the index first, tensors by shard name and place in the data', async () => {
    const inventory = await read({ ...SHARDS, [INDEX]: index(WEIGHT_MAP) });
    assert.deepEqual(inventory.files, [INDEX, A, B]);
    assert.deepEqual(
      inventory.tensors.map(({ name, data }) => [name, data?.runs[0].file]),
      [
        ['layers.1.weight', A],
        ['layers.0.weight', A],
        ['lm_head.weight', B],
      ],
    );
    assert.equal(inventory.nParameters, 12 + 6 + 15);
  });

  test('shards lie beside their index, in whatever folder that is', async () => {
    const files = {
      [`llama/${A}`]: SHARDS[A],
      [`llama/${B}`]: SHARDS[B],
      [`llama/${INDEX}`]: index(WEIGHT_MAP),
    };
    assert.deepEqual((await read(files)).files, [`llama/${INDEX}`, `llama/${A}`, `llama/${B}`]);
  });

  test('only headers are read', async () => {
    let bytesRead = 0;
    const source = bytesSource(createFloatFile({ weight: [1000, 1000] }));
    const counting: ByteSource = {
      byteLength: source.byteLength,
      read: (start, end) => {
        bytesRead += end - start;
        return source.read(start, end);
      },
    };
    await readSafetensorsInventory(new Map([['model.safetensors', counting]]));
    assert(bytesRead < 200, `${bytesRead} bytes`);
  });

  test('an empty tensor has no data and is not prunable', async () => {
    const { tensors } = await read({ 'model.safetensors': createFloatFile({ 'fc.weight': [0, 4] }) });
    assert.deepEqual(tensors, [
      {
        name: 'fc.weight',
        shape: [0, 4],
        dtype: 'float32',
        role: 'weight',
        prunable: false,
        data: null,
        rows: { outer: 1, reduced: 1, units: 0, inner: 4 },
      },
    ]);
  });

  test('a shard that was not uploaded', () =>
    refused({ [A]: SHARDS[A], [INDEX]: index(WEIGHT_MAP) }, 'missing_file', new RegExp(`names ${B}`)));
  test('shards without their index', () =>
    refused(SHARDS, 'missing_file', /2 \.safetensors files need the index/));
  test('no model at all', () => refused({}, 'missing_file', /no \.safetensors/));
  test('a tensor of the index that its shard lacks', () =>
    refused(
      { ...SHARDS, [INDEX]: index({ ...WEIGHT_MAP, bias: A }) },
      'malformed_safetensors',
      /"bias".* says it is in/,
    ));
  test('a tensor of a shard that the index lacks', () => {
    const { 'layers.0.weight': _, ...rest } = WEIGHT_MAP;
    return refused(
      { ...SHARDS, [INDEX]: index(rest) },
      'malformed_safetensors',
      /"layers.0.weight".*not in model/,
    );
  });
  test('a tensor in another shard than the index says', () =>
    refused(
      { ...SHARDS, [INDEX]: index({ ...WEIGHT_MAP, 'layers.0.weight': B }) },
      'malformed_safetensors',
      /index\.json says/,
    ));
  test('a tensor in two shards', () => {
    const files = {
      ...SHARDS,
      [B]: createFloatFile({ 'lm_head.weight': [5, 3], 'layers.0.weight': [2, 3] }),
    };
    return refused({ ...files, [INDEX]: index(WEIGHT_MAP) }, 'malformed_safetensors', /two shards/);
  });
  test('an index of thousands of shards with long names', () => {
    const shards = Array.from({ length: 2000 }, (_, i) => [`t${i}`, `${'s'.repeat(2000)}${i}.safetensors`]);
    return refused(
      { ...SHARDS, [INDEX]: index(Object.fromEntries(shards)) },
      'malformed_safetensors',
      /"sss.{1,300}" is not the name of a \.safetensors file/,
    );
  });
  test('an index that leaves its folder', async () => {
    for (const path of [
      '../secret.safetensors',
      '/etc/x.safetensors',
      'a/../../x.safetensors',
      'a\\x.safetensors',
      './x.safetensors',
      '.safetensors/',
    ])
      await refused(
        { ...SHARDS, [INDEX]: index({ ...WEIGHT_MAP, x: path }) },
        'malformed_safetensors',
        /beside the index/,
      );
  });
  test('an index that is none', async () => {
    for (const text of [
      '',
      '[]',
      '{}',
      '{"weight_map":[]}',
      '{"weight_map":{"a":1}}',
      '{"weight_map":{"a":"x","a":"y"}}',
    ])
      await refused(
        { ...SHARDS, [INDEX]: text },
        'malformed_safetensors',
        /^model\.safetensors\.index\.json: /,
      );
  });
  test('files that belong to no model', async () => {
    await refused(
      { ...SHARDS, [INDEX]: index(WEIGHT_MAP), 'config.json': '{}' },
      'invalid_request',
      /"config\.json"/,
    );
    await refused({ 'model.safetensors': SHARDS[A], 'notes.txt': '' }, 'invalid_request', /"notes\.txt"/);
    await refused(
      { ...SHARDS, [INDEX]: index(WEIGHT_MAP), [`b.${INDEX}`]: '' },
      'invalid_request',
      /index already/,
    );
  });
  test('errors name the shard', () =>
    refused(
      { ...SHARDS, [A]: SHARDS[A].subarray(0, -1), [INDEX]: index(WEIGHT_MAP) },
      'malformed_safetensors',
      new RegExp(`^${A}: tensor`),
    ));
});

describe('golden fixtures', () => {
  const fixtures = sharedFixtures();

  async function readFolder(t: TestContext, folder: string, pattern: RegExp): Promise<ModelInventory> {
    const files = new Map<string, ByteSource>();
    for (const name of (await readdir(folder)).filter((name) => pattern.test(name))) {
      const source = await openFileSource(join(folder, name));
      t.after(() => source[Symbol.asyncDispose]());
      files.set(name, source);
    }
    return readSafetensorsInventory(files);
  }

  for (const name of ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny']) {
    test(`${name}: the weights that were scored are prunable, in their order`, async (t) => {
      if (!fixtures) return t.skip('golden check did not run: ../shared/fixtures is not here');
      const golden = JSON.parse(await readFile(join(fixtures, name, 'golden.json'), 'utf8'));
      const patterns =
        name === 'llama-tiny' ? [/^model\.safetensors$/, /^model\.bf16\./] : [/^model\.safetensors$/];
      for (const pattern of patterns) {
        const { tensors } = await readFolder(t, join(fixtures, name), pattern);
        const scored = tensors.filter((tensor) => tensor.prunable && tensor.name in golden.prunable);
        assert.deepEqual(
          scored.map(({ name, shape }) => [name, shape]),
          Object.entries(golden.prunable),
        );
        // llama-tiny's attention and output projections are weights too; only its mlp was scored.
        const others = tensors.filter((tensor) => tensor.prunable && !(tensor.name in golden.prunable));
        for (const other of others)
          assert.match(other.name, /^model\..*\.self_attn\.[qkvo]_proj\.weight$|^lm_head\.weight$/);
      }
    });
  }

  test('llama-tiny: the shards hold the same tensors as the single file, in the same order', async (t) => {
    if (!fixtures) return t.skip('golden check did not run: ../shared/fixtures is not here');
    const single = await readFolder(t, join(fixtures, 'llama-tiny'), /^model\.safetensors$/);
    const sharded = await readFolder(t, join(fixtures, 'llama-tiny', 'sharded'), /./);
    assert.deepEqual(
      sharded.tensors.map(({ data, ...tensor }) => tensor),
      single.tensors.map(({ data, ...tensor }) => tensor),
    );
    assert.equal(sharded.nParameters, single.nParameters);
    assert.equal(sharded.files.length, 4);
    for (const [i, tensor] of single.tensors.entries())
      assert.equal(sharded.tensors[i].data?.runs[0].byteLength, tensor.data?.runs[0].byteLength);
  });
});
