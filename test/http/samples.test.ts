import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { createNpy, createNpyOf } from '../formats/npy-bytes.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());
afterEach(async () => {
  const { data } = await readJson(await service.fetch('/v1/datasets'));
  for (const { id } of data)
    assert.equal((await service.fetch(`/v1/datasets/${id}`, { method: 'DELETE' })).status, 204);
  assert.deepEqual(await service.files(), []);
});

type Part = [part: string, name: string, content: Uint8Array];

function upload(...parts: Part[]): Promise<Response> {
  const form = new FormData();
  for (const [part, name, content] of parts) form.append(part, fileOf(content), name);
  return service.fetch('/v1/datasets', { method: 'POST', body: form });
}

async function stored(response: Response, status = 201) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  return JSON.parse(text);
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
const pixels = createNpyOf('<f4', new Float32Array([1, 2, 3, 4, 5, 6]), [3, 2]);
const ids = createNpyOf('<i8', new BigInt64Array([7n, 8n, 9n]), [3, 1]);
const classes = createNpyOf('|u1', new Uint8Array([2, 0, 1]), [3]);

describe('samples', () => {
  test('are arrays by input, with labels, under one id however they come', async () => {
    const parts: Part[] = [
      ['inputs', 'pixels.npy', pixels],
      ['labels', 'y.npy', classes],
      ['inputs', 'ids.npy', ids],
    ];
    const response = await upload(...parts);
    const dataset = await stored(response);
    assert.equal(response.headers.get('location'), `/v1/datasets/${dataset.id}`);
    const { id, created_at, ...rest } = dataset;
    assert.match(id, /^dat_[0-9a-z]{26}$/);
    assert.ok(Date.parse(created_at) <= Date.now());
    assert.deepEqual(rest, {
      kind: 'samples',
      sha256: sha256(
        `${sha256(ids)}  inputs/ids\n${sha256(pixels)}  inputs/pixels\n${sha256(classes)}  labels\n`,
      ),
      size_bytes: pixels.length + ids.length + classes.length,
      n_samples: 3,
      inputs: [
        { name: 'ids', shape: [3, 1], dtype: 'int64' },
        { name: 'pixels', shape: [3, 2], dtype: 'float32' },
      ],
      labels: { shape: [3], dtype: 'uint8' },
    });
    assert.deepEqual(await readJson(await service.fetch(`/v1/datasets/${id}`)), dataset);
    assert.deepEqual(await stored(await upload(...parts.toReversed()), 200), dataset);
    const listed = await readJson(await service.fetch('/v1/datasets'));
    const { inputs: _, ...summary } = dataset;
    assert.deepEqual(listed, { data: [summary], next_cursor: null });
  });

  test('lie where samples.json says, whatever their inputs are called', async () => {
    const names = ['labels', 'a/../b:0', 'é\\', '..', 'x.npy', 'n'.repeat(300)];
    const arrays = names.map((name, i) => ({ name, value: i + 1 }));
    const parts = arrays.map(
      ({ name, value }): Part => [
        'inputs',
        `${name}.npy`,
        createNpyOf('<f4', new Float32Array([value, value]), [2]),
      ],
    );
    const { id, inputs } = await stored(
      await upload(['labels', 'labels.npy', createNpyOf('<i2', new Int16Array([5, 6]), [2])], ...parts),
    );
    assert.deepEqual(inputs.map(({ name }: { name: string }) => name).sort(), names.toSorted());
    const samples = await service.store.readJson<SampleSet>('datasets', id, 'samples.json');
    assert.ok(samples?.labels);
    const numbersOf = async ({ path, offset }: { path: string; offset: number }) => {
      const bytes = await buffer(service.store.readFile('datasets', id, path));
      return bytes.subarray(offset);
    };
    assert.equal(samples.nSamples, 2);
    for (const array of samples.inputs) {
      const bytes = await numbersOf(array);
      const value = arrays.find(({ name }) => name === array.name)?.value;
      assert.deepEqual([bytes.length, bytes.readFloatLE(0), bytes.readFloatLE(4)], [8, value, value]);
    }
    const labels = await numbersOf(samples.labels);
    assert.deepEqual([labels.readInt16LE(0), labels.readInt16LE(2)], [5, 6]);
  });

  test('of the same files under another name, or as labels, are others', async () => {
    const ids = new Set<string>();
    for (const parts of [
      [['inputs', 'x.npy', classes]],
      [['inputs', 'y.npy', classes]],
      [
        ['inputs', 'x.npy', classes],
        ['labels', 'y.npy', classes],
      ],
      [
        ['inputs', 'x.npy', classes],
        ['inputs', 'y.npy', classes],
      ],
    ] as Part[][])
      ids.add((await stored(await upload(...parts))).id);
    assert.equal(ids.size, 4);
    const named = (name: string) => upload(['inputs', 'x.npy', classes], ['labels', name, classes]);
    assert.equal((await stored(await named('a.npy'), 200)).id, (await stored(await named('b.npy'), 200)).id);
  });

  test('may have labels that are numbers of any float type, and labels of many axes', async () => {
    for (const [descr, numbers, shape, dtype] of [
      ['<f2', new Float16Array([0.5, -1, 2]), [3], 'float16'],
      ['<f4', new Float32Array(6), [3, 2], 'float32'],
      ['<f8', new Float64Array(12), [3, 2, 1, 2], 'float64'],
      ['|i1', new Int8Array(12), [3, 2, 2], 'int8'],
    ] as const) {
      const { labels } = await stored(
        await upload(['inputs', 'x.npy', pixels], ['labels', 'y.npy', createNpyOf(descr, numbers, shape)]),
      );
      assert.deepEqual(labels, { shape, dtype });
    }
  });

  test('are of no known number where arrays disagree: what all samples share is told by the model', async () => {
    const three = createNpyOf('<f4', new Float32Array(3), [3]);
    const five = createNpyOf('<f4', new Float32Array(10), [5, 2]);
    const { n_samples } = await stored(
      await upload(['inputs', 'x.npy', five], ['inputs', 'scales.npy', three]),
    );
    assert.equal(n_samples, null);
  });

  test('may have an input without numbers beside one with them', async () => {
    const empty = createNpyOf('<f4', new Float32Array(0), [3, 0, 4]);
    const { n_samples } = await stored(
      await upload(['inputs', 'x.npy', pixels], ['inputs', 'past.npy', empty]),
    );
    assert.equal(n_samples, 3);
  });
});

const scores = createSafetensors({ 'fc.weight': [2, 3] });
const float = (...shape: number[]) =>
  createNpyOf('<f4', new Float32Array(shape.reduce((count, size) => count * size, 1)), shape);
const int64 = (...shape: number[]) =>
  createNpyOf('<i8', new BigInt64Array(shape.reduce((count, size) => count * size, 1)), shape);

describe('refuses', () => {
  const refused: [string, Part[], [number, string], [path: string, message: RegExp][]][] = [
    ['no files', [], [422, 'invalid_request'], [['inputs', /^is missing, and so is scores$/]]],
    [
      'samples and scores at once',
      [
        ['scores', 's.safetensors', scores],
        ['inputs', 'x.npy', pixels],
      ],
      [422, 'invalid_request'],
      [
        ['scores', /given beside parts of the other kind/],
        ['inputs', /given beside parts of the other kind/],
      ],
    ],
    [
      'labels of scores',
      [
        ['labels', 'y.npy', classes],
        ['scores', 's.safetensors', scores],
      ],
      [422, 'invalid_request'],
      [
        ['labels', /given beside/],
        ['scores', /given beside/],
      ],
    ],
    [
      'labels without inputs',
      [['labels', 'y.npy', classes]],
      [422, 'invalid_request'],
      [['labels', /^is given without inputs$/]],
    ],
    [
      'two files of labels',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'a.npy', classes],
        ['labels', 'b.npy', classes],
      ],
      [422, 'invalid_request'],
      [['labels', /^must be one file, got 2$/]],
    ],
    [
      'two arrays of one name',
      [
        ['inputs', 'x.npy', pixels],
        ['inputs', 'x.npy', ids],
      ],
      [422, 'invalid_request'],
      [['inputs', /^has two files named x\.npy$/]],
    ],
    [
      'a name with control characters',
      [['inputs', 'x\u0007.npy', pixels]],
      [422, 'invalid_request'],
      [['inputs', /characters that no name has/]],
    ],
    [
      'a name beyond all measure',
      [['inputs', `${'x'.repeat(2000)}.npy`, pixels]],
      [422, 'invalid_request'],
      [['inputs', /more than 1024 bytes/]],
    ],
    [
      'another format',
      [['inputs', 'x.npz', pixels]],
      [415, 'unsupported_media_type'],
      [['inputs', /^must be a \.npy file, is "x\.npz"$/]],
    ],
    [
      'an array without a name',
      [['inputs', '.npy', pixels]],
      [415, 'unsupported_media_type'],
      [['inputs', /^must be a \.npy file, is "\.npy"$/]],
    ],
    [
      'what is no .npy file',
      [['inputs', 'x.npy', scores]],
      [422, 'malformed_npy'],
      [['inputs', /^"x\.npy": it does not begin with/]],
    ],
    [
      'a file that is cut',
      [['inputs', 'x.npy', pixels.subarray(0, -1)]],
      [422, 'malformed_npy'],
      [['inputs', /^"x\.npy": shape \(3,2\) of float32 takes 24 bytes, 23 follow the header$/]],
    ],
    [
      'an array of texts',
      [['inputs', 'x.npy', createNpyOf('<U1', new Uint8Array(8), [2])]],
      [422, 'unsupported_dtype'],
      [['inputs', /^"x\.npy": dtype '<U1' is not supported/]],
    ],
    [
      'labels that are broken, naming them',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'y.npy', scores],
      ],
      [422, 'malformed_npy'],
      [['labels', /^"y\.npy": it does not begin with/]],
    ],
    [
      'a single number',
      [['inputs', 'x.npy', createNpyOf('<f4', new Float32Array(1), [])]],
      [422, 'invalid_request'],
      [['inputs', /^"x\.npy": is a single number: axis 0 must count the samples$/]],
    ],
    [
      'an empty set',
      [['inputs', 'x.npy', float(0, 784)]],
      [422, 'invalid_request'],
      [['inputs', /^is an empty set: "x" has shape \[0, 784\]$/]],
    ],
    [
      'an empty set that claims samples without end',
      [
        [
          'inputs',
          'x.npy',
          createNpy(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740991, 0), }",
            new Uint8Array(),
          ),
        ],
      ],
      [422, 'invalid_request'],
      [['inputs', /^is an empty set/]],
    ],
    [
      'a wrong number of labels',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'y.npy', int64(4)],
      ],
      [422, 'invalid_labels'],
      [['labels', /^has labels for 4 samples, inputs has 3$/]],
    ],
    [
      'labels that are true or false',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'y.npy', createNpyOf('|b1', new Uint8Array(3), [3])],
      ],
      [422, 'invalid_labels'],
      [['labels', /^is bool: labels are integers or floats, as labels\.astype\('<i8'\) makes them$/]],
    ],
    [
      'labels of no position',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'y.npy', int64(3, 0)],
      ],
      [422, 'invalid_labels'],
      [['labels', /^has shape \[3, 0\]: there are no labels in it$/]],
    ],
    [
      'float labels without numbers',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'y.npy', float(3, 2, 0)],
      ],
      [422, 'invalid_labels'],
      [['labels', /^has shape \[3, 2, 0\]: there are no labels in it$/]],
    ],
    [
      'a single label',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'y.npy', float()],
      ],
      [422, 'invalid_request'],
      [['labels', /^"y\.npy": is a single number: axis 0 must count the samples$/]],
    ],
    [
      'a wrong number of float labels',
      [
        ['inputs', 'x.npy', pixels],
        ['labels', 'y.npy', float(4, 5)],
      ],
      [422, 'invalid_labels'],
      [['labels', /^has labels for 4 samples, inputs has 3$/]],
    ],
  ];
  for (const [what, parts, [status, code], findings] of refused) {
    test(what, async () => {
      const response = await upload(...parts);
      const problem = await readProblem(response);
      assert.deepEqual([response.status, problem.code], [status, code], problem.detail);
      assert.deepEqual(problem.errors.map(({ path }) => path).sort(), findings.map(([path]) => path).sort());
      for (const [path, message] of findings)
        assert.ok(
          problem.errors.some((error) => error.path === path && message.test(error.message)),
          `${message} in ${JSON.stringify(problem.errors)}`,
        );
    });
  }
});
