import assert from 'node:assert/strict';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { EmpError } from '../../src/core/errors.ts';
import { bytesSource } from '../../src/formats/byte-source.ts';
import type { Fetched } from '../../src/formats/numbers.ts';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type ModelProto,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from '../../src/formats/onnx/onnx-schema.ts';
import { readOnnxInventory } from '../../src/graph/onnx-inventory.ts';
import type { Feeds } from '../../src/runtime/session.ts';
import { testFolder } from '../criteria/run-criterion.ts';
import { graph, integers, model, modelFunction, node, tensor, value } from '../models/build-model.ts';
import { gaussians, smallModel } from '../models/small-model.ts';
import { sharedFixtures } from '../shared.ts';
import { assertSameOutputs, float32, type Prepared, prepareFiles, prepareStored } from './prepared.ts';

const x = gaussians(2 * 40, 1);
const w = gaussians(40 * 30, 2);
const feeds: Feeds = new Map([['x', float32([2, 40], x)]]);

/** `y = x w` and what else is asked for. */
function product(
  initializers: TensorProto[],
  nodes = [node('MatMul', ['x', 'w'], ['y'])],
  outputs = ['y'],
): ModelProto {
  return smallModel({ nodes, initializers, outputs, xShape: [2, 40], x });
}

function inFile(name: string, dims: number[], type: Type, location: string, offset: number): TensorProto {
  const entries = { location, offset: `${offset}` };
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: type,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  });
}

const bytesOf = ({ buffer }: { buffer: ArrayBuffer }) => new Uint8Array(buffer);

/** Where a prepared tensor's numbers are: a file and an offset; null where they are inline. */
function placeOf({ proto }: Prepared, name: string): { location: string; offset: number } | null {
  const found = proto.graph?.initializer.find((candidate) => candidate.name === name);
  assert.ok(found, `an initializer ${name}`);
  if (found.dataLocation !== TensorProto_DataLocation.EXTERNAL) return null;
  const entries = Object.fromEntries(found.externalData.map(({ key, value }) => [key, value]));
  return { location: entries.location, offset: Number(entries.offset) };
}

describe('tensors of a prepared model', () => {
  test('stay in the model file, of which there is a link', async (t) => {
    const prepared = await prepareFiles(t, product([tensor('w', [40, 30], w)]));
    await assertSameOutputs(prepared, feeds);
    const place = placeOf(prepared, 'w')!;
    const linked = await stat(join(prepared.directory, place.location));
    assert.equal(linked.ino, (await stat(prepared.originalPath)).ino);
    const file = await readFile(prepared.originalPath);
    assert.deepEqual(file.subarray(place.offset, place.offset + w.byteLength), Buffer.from(w.buffer));
    assert.ok((await stat(prepared.path)).size < 1000);
    assert.deepEqual([...prepared.weights], [['w', 'w']]);
    assert.deepEqual((await readdir(prepared.directory)).sort(), ['prepared.onnx', 'source']);
  });

  test('of external files, at offsets that are no multiple of anything', async (t) => {
    const bytes = Buffer.concat([new Uint8Array(4099), bytesOf(w)]);
    const proto = product([inFile('w', [40, 30], Type.FLOAT, './w.bin', 4099)]);
    const prepared = await prepareFiles(t, proto, { 'w.bin': bytes });
    await assertSameOutputs(prepared, feeds);
    assert.deepEqual(placeOf(prepared, 'w'), { location: 'source/w.bin', offset: 4099 });
  });

  test('that are small come inline, from external files too', async (t) => {
    const order = BigInt64Array.of(29n, 3n);
    const proto = product(
      [tensor('w', [40, 30], w), inFile('order', [2], Type.INT64, 'order.bin', 0)],
      [node('MatMul', ['x', 'w'], ['h']), node('Gather', ['h', 'order'], ['y'], { axis: 1 })],
    );
    const prepared = await prepareFiles(t, proto, { 'order.bin': bytesOf(order) });
    await assertSameOutputs(prepared, feeds);
    assert.equal(placeOf(prepared, 'order'), null);
  });

  test('in float_data, in int64_data, of texts', async (t) => {
    const packed = create(TensorProtoSchema, {
      name: 'w',
      dims: [40n, 30n],
      dataType: Type.FLOAT,
      floatData: [...w],
    });
    const order = Array.from({ length: 300 }, (_, i) => (i * 7) % 30);
    const words = create(TensorProtoSchema, {
      name: 'words',
      dims: [100n],
      dataType: Type.STRING,
      stringData: Array.from({ length: 100 }, (_, i) => new TextEncoder().encode(`a word, number ${i}`)),
    });
    const proto = product(
      [packed, integers('order', order), words],
      [
        node('MatMul', ['x', 'w'], ['h']),
        node('Gather', ['h', 'order'], ['y'], { axis: 1 }),
        node('Size', ['words'], ['n']),
      ],
      ['y', 'n'],
    );
    const prepared = await prepareFiles(t, proto);
    await assertSameOutputs(prepared, feeds);
    assert.match(placeOf(prepared, 'w')?.location ?? '', /^source/);
    const found = prepared.proto.graph?.initializer.find(({ name }) => name === 'words');
    assert.deepEqual(found?.stringData, words.stringData);
  });

  test('in Constant nodes become initializers, weights by their inventory names', async (t) => {
    const list = (name: string, type: AttributeType, rest: object) =>
      Object.assign(node('Constant', [], [name.slice(0, -1)]), {
        attribute: [create(AttributeProtoSchema, { name: name.slice(1), type, ...rest })],
      });
    const proto = product(
      [],
      [
        node('Constant', [], ['w'], { value: tensor('anything', [40, 30], w) }),
        Object.assign(list('_value_float', AttributeType.FLOAT, { f: 0.5 }), { output: ['half'] }),
        Object.assign(list('_value_floats', AttributeType.FLOATS, { floats: [1, 2] }), { output: ['two'] }),
        Object.assign(list('_value_int', AttributeType.INT, { i: 1n }), { output: ['axis'] }),
        Object.assign(list('_value_ints', AttributeType.INTS, { ints: [2n, 2n, 15n] }), {
          output: ['shape'],
        }),
        node('MatMul', ['x', 'w'], ['product']),
        node('Mul', ['product', 'half'], ['halved']),
        node('CumSum', ['halved', 'axis'], ['summed']),
        node('Reshape', ['summed', 'shape'], ['y']),
      ],
      ['y', 'two'],
    );
    const prepared = await prepareFiles(t, proto);
    await assertSameOutputs(prepared, feeds);
    assert.equal(prepared.proto.graph?.node.filter(({ opType }) => opType === 'Constant').length, 0);
    const bytes = toBinary(ModelProtoSchema, proto);
    const { tensors } = await readOnnxInventory(new Map([['model.onnx', bytesSource(bytes)]]));
    assert.deepEqual(
      tensors.map(({ name }) => name),
      ['w'],
    );
    assert.deepEqual([...prepared.weights], [['w', 'w']]);
  });

  test('that are graph inputs too are constants', async (t) => {
    const proto = product([tensor('w', [40, 30], w)]);
    proto.irVersion = 3n;
    proto.graph?.input.push(value('w', [40, 30]));
    const prepared = await prepareFiles(t, proto);
    await assertSameOutputs(prepared, feeds);
    assert.deepEqual(
      prepared.model.graph.inputs.map(({ name }) => name),
      ['x'],
    );
  });

  test('a gigabyte costs kilobytes', async (t) => {
    const folder = await testFolder(t);
    const rows = 2 ** 18;
    const proto = product([inFile('big', [rows, 1024], Type.FLOAT, 'big.bin', 0)]);
    proto.graph!.node = [node('MatMul', ['x', 'big'], ['y'])];
    await using file = await open(join(folder, 'model.onnx'), 'w');
    await file.writeFile(toBinary(ModelProtoSchema, proto));
    await using big = await open(join(folder, 'big.bin'), 'w');
    await big.truncate(rows * 1024 * 4);
    const prepared = await prepareStored(t, folder, ['model.onnx', 'big.bin']);
    assert.ok((await stat(prepared.path)).size < 1000);
    assert.deepEqual((await readdir(prepared.directory)).sort(), ['prepared.onnx', 'source']);
    const linked = await stat(join(prepared.directory, 'source/big.bin'));
    assert.equal(linked.ino, (await big.stat()).ino);
  });

  test('missing ones are named', async (t) => {
    const proto = product([inFile('w', [40, 30], Type.FLOAT, 'w.bin', 0)]);
    await assert.rejects(
      prepareFiles(t, proto),
      (error) => error instanceof EmpError && error.code === 'missing_file' && /w\.bin/.test(error.message),
    );
  });

  for (const folder of ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny']) {
    const fixtures = sharedFixtures();
    test(`of ${folder}`, { skip: fixtures === null && 'shared/fixtures is absent: not run' }, async (t) => {
      const stored = join(fixtures ?? '', folder);
      const prepared = await prepareStored(t, stored, ['model.onnx']);
      const shape = folder === 'kan-mnist' ? [3, 784] : [3, 1, 28, 28];
      const input: [string, Fetched] =
        folder === 'llama-tiny'
          ? ['input_ids', { dtype: 'int64', shape: [2, 128], data: new BigInt64Array(256).fill(65n) }]
          : ['input', float32(shape, gaussians(3 * 784, 1))];
      await assertSameOutputs(prepared, new Map([input]));
      assert.ok((await stat(prepared.path)).size < 100_000);
      const source = bytesSource(await readFile(join(stored, 'model.onnx')));
      const { tensors } = await readOnnxInventory(new Map([['model.onnx', source]]));
      const values = new Set(prepared.model.graph.initializers.map(({ name }) => name));
      for (const { name, role } of tensors) {
        if (role === 'weight') assert.ok(values.has(prepared.weights.get(name) ?? ''), name);
      }
    });
  }
});

describe('all floats of a prepared model are float32', () => {
  const half = Float16Array.from(w);
  const bits = Uint16Array.from(new Uint32Array(w.slice().buffer), (word) => word >>> 16);
  const encodings: Record<string, () => TensorProto> = {
    'float16 in raw_data': () => tensor('w', [40, 30], half),
    'float16 in int32_data': () => {
      const int32Data = [...new Uint16Array(half.buffer)];
      return create(TensorProtoSchema, { name: 'w', dims: [40n, 30n], dataType: Type.FLOAT16, int32Data });
    },
    'float16 in a Constant': () => tensor('w', [40, 30], half),
    'float64 in raw_data': () => raw(Type.DOUBLE, new Float64Array(w)),
    'float64 in double_data': () =>
      create(TensorProtoSchema, { name: 'w', dims: [40n, 30n], dataType: Type.DOUBLE, doubleData: [...w] }),
    'bfloat16 in raw_data': () => raw(Type.BFLOAT16, bits),
  };
  function raw(dataType: Type, numbers: { buffer: ArrayBuffer }): TensorProto {
    return create(TensorProtoSchema, { name: 'w', dims: [40n, 30n], dataType, rawData: bytesOf(numbers) });
  }

  for (const [name, encode] of Object.entries(encodings)) {
    test(`${name}`, async (t) => {
      const stored = encode();
      const isConstant = name.endsWith('Constant');
      const cast = [node('Cast', ['w'], ['wide'], { to: Type.FLOAT }), node('MatMul', ['x', 'wide'], ['y'])];
      const proto = isConstant
        ? product([], [node('Constant', [], ['w'], { value: stored }), ...cast])
        : product([stored], cast);
      const prepared = await prepareFiles(t, proto);
      await assertSameOutputs(prepared, feeds, 1e-6);
      assert.deepEqual(placeOf(prepared, 'w'), { location: 'tensors.bin', offset: 0 });
      const converted = await readFile(join(prepared.directory, 'tensors.bin'));
      const expected = name.startsWith('float16')
        ? Float32Array.from(half)
        : name.startsWith('bfloat16')
          ? new Float32Array(Uint32Array.from(bits, (word) => word * 65536).buffer)
          : w;
      assert.deepEqual(new Float32Array(new Uint8Array(converted).buffer), expected);
    });
  }

  for (const [type, tolerance] of [
    ['FLOAT16', 5e-3],
    ['DOUBLE', 1e-6],
  ] as const) {
    test(`a model of ${type}: inputs, outputs, casts, fills`, async (t) => {
      const elem = Type[type];
      const numbers = type === 'FLOAT16' ? half : new Float64Array(w);
      const make = (name: string, dims: number[], data: { buffer: ArrayBuffer }) =>
        create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: elem, rawData: bytesOf(data) });
      const one = type === 'FLOAT16' ? Float16Array.of(3) : Float64Array.of(3);
      const proto = product(
        [make('w', [40, 30], numbers), integers('sizes', [30])],
        [
          node('MatMul', ['x', 'w'], ['h']),
          node('ConstantOfShape', ['sizes'], ['filled'], { value: make('', [1], one) }),
          node('Add', ['h', 'filled'], ['sum']),
          node('Cast', ['count'], ['counted'], { to: elem }),
          node('Mul', ['sum', 'counted'], ['y']),
          node('EyeLike', ['sum'], ['eye'], { dtype: elem }),
          node('Cast', ['y'], ['whole'], { to: Type.INT32 }),
        ],
      );
      proto.graph!.input = [value('x', ['n', 40], type), value('count', [1], 'INT64')];
      proto.graph!.output = [value('y', ['n', 30], type), value('eye', ['n', 30], type)];
      proto.graph!.valueInfo = [value('h', ['n', 30], type)];
      const prepared = await prepareFiles(t, proto);
      assert.deepEqual(prepared.widenedInputs, ['x']);
      const data = type === 'FLOAT16' ? Float16Array.from(x) : new Float64Array(x);
      const dtype = type === 'FLOAT16' ? 'float16' : 'float64';
      await assertSameOutputs(
        prepared,
        new Map<string, Fetched>([
          ['x', { dtype, shape: [2, 40], data }],
          ['count', { dtype: 'int64', shape: [1], data: BigInt64Array.of(2n) }],
        ]),
        tolerance,
      );
    });
  }

  test('the least float64 stays finite, infinity infinite', async (t) => {
    const numbers = Float64Array.of(-Number.MAX_VALUE, Number.NEGATIVE_INFINITY, Number.MAX_VALUE, 0.1);
    const stored = create(TensorProtoSchema, {
      name: 'mask',
      dims: [4n],
      dataType: Type.DOUBLE,
      rawData: bytesOf(numbers),
    });
    const prepared = await prepareFiles(t, product([stored], [node('Identity', ['mask'], ['y'])]));
    const found = prepared.proto.graph?.initializer[0];
    const largest = 2 ** 128 - 2 ** 104;
    assert.deepEqual(
      [...new Float32Array(new Uint8Array(found!.rawData).buffer)],
      [-largest, Number.NEGATIVE_INFINITY, largest, Math.fround(0.1)],
    );
  });
});

describe('functions and inner graphs of a prepared model', () => {
  test('calls become nodes, a weight in a body one initializer', async (t) => {
    const scale = modelFunction('Scale', ['a', 'b'], ['c'], [node('Mul', ['a', 'b'], ['c'])]);
    const layer = modelFunction(
      'Layer',
      ['a'],
      ['r', 'k'],
      [
        node('Identity', ['a'], ['k']),
        node('Constant', [], ['v'], { value: tensor('', [40, 40], gaussians(1600, 3)) }),
        node('Gemm', ['a', 'v'], ['p'], { transB: { ref: 'turn' } }),
        node('Scale', ['p', 'p'], ['s'], {}, 'local'),
        node('Sigmoid', ['s'], ['r']),
      ],
      ['turn'],
    );
    layer.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'local', version: 1n }));
    const proto = product(
      [],
      [
        node('Layer', ['x'], ['h', 'same'], { turn: 0 }, 'local'),
        node('Layer', ['h'], ['z', 'unread'], { turn: 1 }, 'local'),
        node('Add', ['z', 'same'], ['y']),
      ],
    );
    proto.functions = [scale, layer];
    const prepared = await prepareFiles(t, proto);
    await assertSameOutputs(prepared, feeds, 1e-6);
    assert.equal(prepared.proto.functions.length, 0);
    assert.deepEqual(
      prepared.model.graph.nodes.filter(({ domain }) => domain !== ''),
      [],
    );
    const [weight] = prepared.weights.values();
    assert.equal(prepared.weights.size, 1);
    assert.equal(prepared.model.graph.resolve(weight).uses.length, 2); // the first Gemm, and the name it has in the second call
  });

  test('functions of another opset stay', async (t) => {
    const old = modelFunction('Old', ['a'], ['c'], [node('Relu', ['a'], ['c'])]);
    old.opsetImport[0].version = 16n;
    const proto = product([], [node('Old', ['x'], ['y'], {}, 'local')]);
    proto.functions = [old];
    const prepared = await prepareFiles(t, proto);
    await assertSameOutputs(prepared, feeds);
    assert.equal(prepared.model.graph.nodes[0].domain, 'local');
  });

  test('a function that calls itself is refused', async (t) => {
    const proto = product([], [node('Self', ['x'], ['y'], {}, 'local')]);
    proto.functions = [modelFunction('Self', ['a'], ['c'], [node('Self', ['a'], ['c'], {}, 'local')])];
    await assert.rejects(prepareFiles(t, proto), { code: 'unsupported_model' });
  });

  test('large float16 weights in branches are copies, where onnx allows no link', async (t) => {
    const branch = (seed: number, isConstant: boolean) => {
      const stored = tensor('v', [40, 30], gaussians(1200, seed));
      return graph({
        nodes: [
          ...(isConstant ? [node('Constant', [], ['v'], { value: stored })] : []),
          node('MatMul', ['x', 'v'], ['r']),
        ],
        initializers: isConstant ? [] : [stored],
        outputs: ['r'],
      });
    };
    const proto = product(
      [tensor('w', [40, 30], w)],
      [
        node('MatMul', ['x', 'w'], ['h']),
        node('If', ['condition'], ['z'], { then_branch: branch(4, true), else_branch: branch(5, false) }),
        node('Add', ['h', 'z'], ['y']),
      ],
    );
    const inputs = proto.graph!.input;
    inputs[inputs.findIndex(({ name }) => name === 'condition')] = value('condition', [], 'BOOL');
    const prepared = await prepareFiles(t, proto);
    for (const chosen of [0, 1]) {
      const condition = { dtype: 'bool', shape: [], data: Uint8Array.of(chosen) };
      await assertSameOutputs(prepared, new Map([...feeds, ['condition', condition]]));
    }
    assert.deepEqual([...prepared.weights], [['w', 'w']]);
    assert.equal((await stat(join(prepared.directory, 'tensors.bin'))).size, 2 * 1200 * 4);
  });

  test('a sparse initializer stays one', async (t) => {
    const values = tensor('w', [600], gaussians(600, 6));
    const indices = integers(
      '',
      Array.from({ length: 600 }, (_, i) => 2 * i),
    );
    const proto = product([]);
    proto.graph!.input = proto.graph!.input.filter(({ name }) => name !== 'w');
    proto.graph!.sparseInitializer = [
      { $typeName: 'onnx.SparseTensorProto', values, indices, dims: [40n, 30n] },
    ];
    const prepared = await prepareFiles(t, proto);
    await assertSameOutputs(prepared, feeds);
  });
});

test('branches in a function that is called twice', async (t) => {
  const branch = (name: string, op: string) => graph({ nodes: [node(op, ['a'], [name])], outputs: [name] });
  const body = [
    node('ReduceSum', ['a'], ['s'], { keepdims: 0 }),
    node('Cast', ['s'], ['c'], { to: Type.BOOL }),
    node('If', ['c'], ['r'], { then_branch: branch('p', 'Exp'), else_branch: branch('q', 'Cos') }),
  ];
  const nodes = [node('Both', ['x'], ['h'], {}, 'local'), node('Both', ['h'], ['y'], {}, 'local')];
  const proto = model({ nodes, inputs: [['x', [2]]], outputs: ['y'] }, [
    modelFunction('Both', ['a'], ['r'], body),
  ]);
  const prepared = await prepareFiles(t, proto);
  for (const numbers of [Float32Array.of(1, 2), Float32Array.of(0, 0)]) {
    await assertSameOutputs(prepared, new Map([['x', float32([2], numbers)]]), 1e-6);
  }
});
