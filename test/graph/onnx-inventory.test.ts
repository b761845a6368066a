import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { EmpError } from '../../src/core/errors.ts';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { openFileSource } from '../../src/formats/file-source.ts';
import { SparseTensorProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { readOnnxInventory } from '../../src/graph/onnx-inventory.ts';
import {
  encode,
  floats,
  graph,
  integers,
  inventoryOf,
  model,
  modelFunction,
  node,
  rowsOf,
} from '../models/build-model.ts';
import { sharedFixtures } from '../shared.ts';

describe('the inventory', () => {
  test('lists parameters in the order of the file', async () => {
    const branch = graph({
      nodes: [node('Constant', [], ['c3'], { value: floats('', [2, 2]) })],
      initializers: [floats('inner', [2, 2])],
      outputs: ['inner'],
    });
    const body = modelFunction(
      'F',
      ['a'],
      ['r'],
      [node('Constant', [], ['c5'], { value: floats('', [2, 2]) }), node('MatMul', ['a', 'c5'], ['r'])],
    );
    const nodes = [
      node('Constant', [], ['c2'], { value: floats('', [2, 2]) }),
      node('If', ['q'], ['z'], { then_branch: branch, else_branch: branch }),
      node('Constant', [], ['c4'], { value: floats('', [3]) }),
      node('F', ['z'], ['y'], {}, 'local'),
    ];
    const initializers = [floats('b', [2]), integers('shape', [1, 2]), floats('a', [2, 2])];
    const { tensors, nParameters } = await inventoryOf(encode(model({ nodes, initializers }, [body])));
    assert.deepEqual(
      tensors.map(({ name }) => name),
      [
        ...['b', 'shape', 'a', 'c2', 'inner', 'c3'],
        ...['If_z/else_branch/inner', 'If_z/else_branch/c3', 'c4', 'c5'],
      ],
    );
    assert.equal(nParameters, 2 + 4 + 4 + 4 + 4 + 4 + 4 + 3 + 4); // all but `shape`
  });

  test('leaves out the operands that Constant nodes hold: scalars and integers', async () => {
    const nodes = [
      node('Constant', [], ['eps'], { value: floats('', []) }),
      node('ConstantOfShape', ['x'], ['filled'], { value: floats('', [1]) }),
      node('Constant', [], ['shape'], { value: integers('', [6, 4]) }),
      node('Constant', [], ['w'], { value: floats('other_name', [24]) }),
      node('Reshape', ['w', 'shape'], ['m']),
      node('MatMul', ['x', 'm'], ['y']),
    ];
    const { tensors } = await inventoryOf(encode(model({ nodes })));
    assert.deepEqual(
      tensors.map((tensor) => [tensor.name, rowsOf(tensor)]),
      [['w', [1, 6, 4, 1]]],
    );
  });

  test('takes initializers that are inputs too, as all were before IR version 4', async () => {
    const nodes = [node('MatMul', ['x', 'w'], ['y'])];
    const parts = { nodes, initializers: [floats('w', [6, 4])], inputs: ['x', 'w'] };
    const { tensors } = await inventoryOf(encode(model(parts)));
    assert.equal(tensors[0].prunable, true);
  });

  test('a sparse initializer is a weight, and not prunable', async () => {
    const proto = model({ nodes: [node('MatMul', ['x', 'w'], ['y'])] });
    const sparse = { values: floats('w', [3]), indices: integers('', [0, 5, 9]), dims: [6n, 4n] };
    proto.graph?.sparseInitializer.push(create(SparseTensorProtoSchema, sparse));
    const { tensors } = await inventoryOf(encode(proto));
    assert.deepEqual(
      tensors.map(({ name, shape, role, prunable }) => [name, shape, role, prunable]),
      [['w', [6, 4], 'weight', false]],
    );
  });

  test('needs one .onnx file', async () => {
    const bytes = bytesSource(encode(model({ nodes: [] })));
    for (const names of [[], ['a.onnx', 'b.onnx'], ['a.bin']]) {
      const files = new Map(names.map((name) => [name, bytes]));
      await assert.rejects(readOnnxInventory(files), { name: 'EmpError', code: 'invalid_request' });
    }
  });
});

test('cut and damaged files give an EmpError or an inventory, nothing else, at once', async () => {
  const branch = graph({ nodes: [node('MatMul', ['x', 'w'], ['t'])], outputs: ['t'] });
  const body = modelFunction('F', ['m'], ['t'], [node('Transpose', ['m'], ['t'], { perm: [1, 0] })]);
  const nodes = [
    node('F', ['w'], ['turned'], {}, 'local'),
    node('Reshape', ['turned', 'shape'], ['m']),
    node('Slice', ['m', 'one', 'shape', 'one'], ['s']),
    node('Conv', ['x', 'm'], ['a'], { group: 2 }),
    node('Split', ['m'], ['p', 'q'], { axis: 1 }),
    node('Concat', ['p', 's'], ['j'], { axis: 0 }),
    node('MatMul', ['a', 'j'], ['y']),
    node('If', ['c'], ['z'], { then_branch: branch, else_branch: branch }),
  ];
  const initializers = [floats('w', [6, 4]), integers('shape', [6, 4]), integers('one', [1])];
  const file = encode(model({ nodes, initializers, inputs: [['x', [2, 6]]], outputs: ['y', 'z'] }, [body]));
  let refused = 0;
  const survives = async (bytes: Uint8Array) => {
    const started = performance.now();
    try {
      await inventoryOf(bytes);
    } catch (error) {
      assert.ok(error instanceof EmpError, String(error));
      refused++;
    }
    assert.ok(performance.now() - started < 2000);
  };
  for (let length = 0; length < file.byteLength; length++) await survives(file.subarray(0, length));
  assert.ok(refused > file.byteLength / 2);

  const damage = fc.array(fc.record({ at: fc.nat(file.byteLength - 1), value: fc.nat(255) }), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(damage, (changes) => {
      const damaged = file.slice();
      for (const { at, value } of changes) damaged[at] = value;
      return survives(damaged);
    }),
    { numRuns: 3000 },
  );
});

describe('fixtures', () => {
  const fixtures = sharedFixtures();
  const names =
    fixtures === null
      ? ['golden models']
      : readdirSync(fixtures, { withFileTypes: true }).flatMap((entry) =>
          entry.isDirectory() ? [entry.name] : [],
        );
  for (const name of names) {
    test(name, async (t) => {
      if (fixtures === null) return t.skip('golden check did not run: ../shared/fixtures is not here');
      const golden = JSON.parse(readFileSync(join(fixtures, name, 'golden.json'), 'utf8'));
      await using source = await openFileSource(join(fixtures, name, 'model.onnx'));
      const { tensors } = await readOnnxInventory(new Map([['model.onnx', source]]));
      const prunable = new Map(tensors.flatMap((tensor) => (tensor.prunable ? [[tensor.name, tensor]] : [])));
      for (const [weight, shape] of Object.entries<number[]>(golden.prunable)) {
        const tensor = prunable.get(weight);
        assert.ok(tensor, weight);
        assert.deepEqual(tensor.shape, shape);
        const [out, ...rest] = shape; // PyTorch's layout: the first axis holds the output units
        const inner = rest.reduce((product, size) => product * size, 1);
        assert.deepEqual(rowsOf(tensor), [1, 1, out, inner], weight);
      }
    });
  }
});
