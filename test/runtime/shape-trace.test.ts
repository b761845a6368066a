import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { EmpError } from '../../src/core/errors.ts';
import { byteWidth, type Fetched, viewNumbers } from '../../src/formats/numbers.ts';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from '../../src/formats/onnx/onnx-schema.ts';
import type { ShapeTrace } from '../../src/graph/observed-values.ts';
import { readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import { openSession } from '../../src/runtime/session.ts';
import { traceShapes } from '../../src/runtime/shape-trace.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import {
  encode,
  floats,
  graph,
  integers,
  modelFunction,
  node,
  SparseSource,
  tensor,
} from '../models/build-model.ts';
import { gaussians } from '../models/small-model.ts';
import { build, filesOf, NEVER, type Parts, trace } from '../models/traced-model.ts';
import { sharedFixtures } from '../shared.ts';

/** What the traced model itself gives for inputs of the traced shapes. */
async function assertOutputsAgree(bytes: Uint8Array, traced: ShapeTrace): Promise<void> {
  await using session = await openSession(bytes, RUNTIME);
  for (const run of [0, 1] as const) {
    const feeds = session.inputs.map(({ name, dtype }): [string, Fetched] => {
      const shape = traced.shapesOf(name)![run];
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, { dtype, shape, data: viewNumbers(new ArrayBuffer(count * byteWidth(dtype)), dtype) }];
    });
    const results = await session.run(
      new Map(feeds),
      session.outputs.map(({ name }) => name),
    );
    for (const [name, { shape, dtype }] of results) {
      assert.deepEqual([dtype, shape], [traced.dtypeOf(name), traced.shapesOf(name)?.[run]], name);
    }
  }
}

async function refusal(promise: Promise<unknown>): Promise<EmpError> {
  const error = await promise.then(
    () => assert.fail('a refusal was expected'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof EmpError, String(error));
  assert.equal(error.code, 'unsupported_model');
  return error;
}

/** `[batch, seq, 12]` is taken apart into 3 heads as exporters write it: sizes computed, the width of a head from that of the whole. */
const HEADS = [
  node('Gather', ['table', 'ids'], ['e']),
  node('Constant', [], ['scale'], { value: tensor('', [12], gaussians(12, 2)) }),
  node('Mul', ['e', 'scale'], ['h']),
  node('Shape', ['h'], ['shape']),
  node('Constant', [], ['last'], { value: integers('', [2], []) }),
  node('Gather', ['shape', 'last'], ['width']),
  node('Constant', [], ['heads'], { value_int: 3 }),
  node('Div', ['width', 'heads'], ['head']),
  node('Slice', ['shape', 'zero', 'two'], ['open']),
  node('Unsqueeze', ['heads', 'zero'], ['a']),
  node('Unsqueeze', ['head', 'zero'], ['b']),
  node('Concat', ['open', 'a', 'b'], ['target'], { axis: 0 }),
  node('Reshape', ['h', 'target'], ['y']),
];
const HEADS_PARTS: Parts = {
  inputs: [['ids', ['batch', 'seq'], 'INT64']],
  nodes: HEADS,
  initializers: [tensor('table', [50, 12], gaussians(600, 1)), integers('zero', [0]), integers('two', [2])],
};

describe('a trace', () => {
  test('knows the shapes of all values under two sizes of every open axis', async () => {
    const proto = build(HEADS_PARTS);
    const traced = await trace(proto);
    const expected = {
      ids: ['int64', [2, 7], [3, 11]],
      table: ['float32', [50, 12], [50, 12]],
      scale: ['float32', [12], [12]],
      h: ['float32', [2, 7, 12], [3, 11, 12]],
      shape: ['int64', [3], [3]],
      width: ['int64', [], []],
      heads: ['int64', [], []],
      target: ['int64', [4], [4]],
      y: ['float32', [2, 7, 3, 4], [3, 11, 3, 4]],
    };
    for (const [name, [dtype, ...shapes]] of Object.entries(expected)) {
      assert.deepEqual([traced.dtypeOf(name), traced.shapesOf(name)], [dtype, shapes], name);
    }
    assert.equal(traced.shapesOf('nowhere'), null);
    assert.equal(traced.dtypeOf('nowhere'), null);
    await assertOutputsAgree(encode(proto), traced);
  });

  test('knows integers that are stored, or computed of sizes that are not open', async () => {
    const traced = await trace(build(HEADS_PARTS));
    const expected = { zero: [0], last: [2], heads: [3], width: [12], head: [4], a: [3], b: [4] };
    for (const [name, numbers] of Object.entries(expected)) {
      assert.deepEqual(traced.integersOf(name), numbers, name);
    }
    for (const name of ['shape', 'open', 'target', 'ids', 'table', 'y', 'nowhere']) {
      assert.equal(traced.integersOf(name), null, name);
    }
  });

  test('takes no integers for known that hang on numbers of an input, of weights or on chance', async () => {
    const traced = await trace(
      build({
        inputs: [['ids', ['batch', 'seq'], 'INT64']],
        nodes: [
          node('ReduceMax', ['ids'], ['most'], { keepdims: 0 }),
          node('NonZero', ['most'], ['places']),
          node('Shape', ['places'], ['many']),
          node('ArgMax', ['w'], ['best'], { axis: 0, keepdims: 0 }),
          node('Constant', [], ['four'], { value: integers('', [4]) }),
          node('ConstantOfShape', ['four'], ['blank']),
          node('RandomUniformLike', ['blank'], ['chance']),
          node('Cast', ['chance'], ['coin'], { to: Type.INT64 }),
          node('Shape', ['ids'], ['shape']),
          node('Size', ['shape'], ['rank']),
          node('Equal', ['rank', 'one'], ['isVector']),
          node('Cast', ['rank'], ['short'], { to: Type.INT32 }),
        ],
        outputs: ['short'],
        initializers: [tensor('w', [100], gaussians(100, 1)), integers('one', [1], [])],
      }),
    );
    for (const name of ['most', 'places', 'many', 'best', 'coin', 'shape']) {
      assert.equal(traced.integersOf(name), null, name);
      assert.ok(traced.shapesOf(name), name);
    }
    for (const [name, numbers] of Object.entries({ rank: [2], isVector: [0], short: [2], four: [4] })) {
      assert.deepEqual(traced.integersOf(name), numbers, name);
    }
  });

  test('has no shapes of sequences', async () => {
    const traced = await trace(
      build({
        nodes: [
          node('SplitToSequence', ['x'], ['pieces'], { axis: 1 }),
          node('SequenceAt', ['pieces', 'first'], ['piece']),
        ],
        initializers: [integers('first', [0], [])],
      }),
    );
    assert.equal(traced.shapesOf('pieces'), null);
    assert.equal(traced.dtypeOf('pieces'), null);
    assert.deepEqual(traced.shapesOf('piece'), [
      [2, 1],
      [3, 1],
    ]);
  });

  test('leaves the model as it is', async () => {
    const files = filesOf(build(HEADS_PARTS));
    const model = await readOnnxModel(files);
    const before = toBinary(ModelProtoSchema, model.proto);
    await traceShapes(model, files, RUNTIME, NEVER);
    assert.deepEqual(toBinary(ModelProtoSchema, model.proto), before);
  });

  test('ends when it is aborted', async () => {
    const files = filesOf(build(HEADS_PARTS));
    const aborted = AbortSignal.abort(new Error('enough'));
    await assert.rejects(traceShapes(await readOnnxModel(files), files, RUNTIME, aborted), /enough/);
  });

  const fixtures = sharedFixtures();
  for (const folder of ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny']) {
    test(`of ${folder}`, { skip: fixtures === null && 'shared/fixtures is absent: not run' }, async () => {
      const bytes = new Uint8Array(await readFile(join(fixtures ?? '', folder, 'model.onnx')));
      const traced = await trace(bytes);
      await assertOutputsAgree(bytes, traced);
      for (const { proto } of (await readOnnxModel(filesOf(bytes))).graph.nodes) {
        for (const name of proto.output) assert.ok(traced.shapesOf(name) && traced.dtypeOf(name), name);
      }
    });
  }
});

describe('weights', () => {
  const product = (w: TensorProto, others: NodeProto[] = []): Parts => ({
    inputs: [['x', ['batch', 40]]],
    nodes: [...others, node('MatMul', ['x', others.at(-1)?.output[0] ?? 'w'], ['y'])],
    initializers: [w],
  });
  const numbers = (dataType: Type, rawData: Uint8Array<ArrayBuffer>, dims = [40n, 30n]) =>
    create(TensorProtoSchema, { name: 'w', dims, dataType, rawData });

  for (const [name, w, nodes] of [
    ['float64', numbers(Type.DOUBLE, new Uint8Array(9600)), [node('Cast', ['w'], ['f'], { to: 1 })]],
    ['float16', numbers(Type.FLOAT16, new Uint8Array(2400)), [node('Cast', ['w'], ['f'], { to: 1 })]],
    ['bfloat16', numbers(Type.BFLOAT16, new Uint8Array(2400)), [node('Cast', ['w'], ['f'], { to: 1 })]],
    ['int8', numbers(Type.INT8, new Uint8Array(1200)), [node('Cast', ['w'], ['f'], { to: 1 })]],
    ['int32', numbers(Type.INT32, new Uint8Array(4800)), [node('Cast', ['w'], ['f'], { to: 1 })]],
  ] as const) {
    test(`of ${name} keep their type`, async () => {
      const proto = build(product(w, [...nodes]));
      const traced = await trace(proto);
      assert.equal(traced.dtypeOf('w'), name);
      assert.equal(traced.dtypeOf('f'), 'float32');
      await assertOutputsAgree(encode(proto), traced);
    });
  }

  test('of float16 act on inputs of float16', async () => {
    const half = Float16Array.from({ length: 1200 }, (_, i) => Math.sin(i));
    const proto = build({
      ...product(tensor('w', [40, 30], half)),
      inputs: [['x', ['batch', 40], 'FLOAT16']],
    });
    const traced = await trace(proto);
    assert.equal(traced.dtypeOf('y'), 'float16');
    await assertOutputsAgree(encode(proto), traced);
  });

  test('are not read, large integers are; external data too', async () => {
    const external = (name: string, dims: bigint[], dataType: Type, offset: number) =>
      create(TensorProtoSchema, {
        name,
        dims,
        dataType,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries({ location: 'w.bin', offset }).map(([key, value]) =>
          create(StringStringEntryProtoSchema, { key, value: `${value}` }),
        ),
      });
    const order = BigInt64Array.from({ length: 500 }, (_, i) => BigInt(i % 30));
    const others = {
      'w.bin': new SparseSource(2 ** 21, new Map([[2 ** 20, new Uint8Array(order.buffer)]])),
    };
    const traced = await trace(
      build({
        inputs: [['x', ['batch', 400]]],
        nodes: [node('MatMul', ['x', 'w'], ['h']), node('Gather', ['h', 'order'], ['y'], { axis: 1 })],
        initializers: [
          external('w', [400n, 30n], Type.FLOAT, 0),
          external('order', [500n], Type.INT64, 2 ** 20),
        ],
      }),
      others,
    );
    assert.deepEqual(traced.shapesOf('y')?.[1], [3, 500]);
    assert.deepEqual(traced.integersOf('order'), [...order].map(Number));
    assert.equal(others['w.bin'].bytesRead, 4000);
  });

  test('that are integers in lists, packed and one by one, are read as they are stored', async () => {
    const order = Array.from({ length: 3000 }, (_, i) => (i * 7) % 4);
    const proto = build({
      nodes: [node('Gather', ['x', 'order'], ['h'], { axis: 1 }), node('Gather', ['h', 'other'], ['y'])],
      initializers: [integers('order', order)],
    });
    const other = new BinaryWriter().raw(toBinary(TensorProtoSchema, integers('other', [], [3000])));
    for (const value of order) {
      other.tag(TensorProtoSchema.field.int64Data.number, WireType.Varint).int64(value % 2);
    }
    const added = new BinaryWriter().tag(GraphProtoSchema.field.initializer.number, WireType.LengthDelimited);
    const bytes = new BinaryWriter()
      .raw(encode(proto))
      .tag(ModelProtoSchema.field.graph.number, WireType.LengthDelimited)
      .bytes(added.bytes(other.finish()).finish());
    const traced = await trace(bytes.finish());
    assert.deepEqual(traced.integersOf('order'), order);
    assert.deepEqual(
      traced.integersOf('other'),
      order.map((value) => value % 2),
    );
    assert.deepEqual(traced.shapesOf('y')?.[0], [3000, 3000]);
  });

  test('in branches make no values known that come out of them, but their sizes', async () => {
    const branch = () =>
      graph({
        nodes: [
          node('Constant', [], ['bias'], { value: floats('', [100]) }),
          node('MatMul', ['x', 'inner'], ['m']),
          node('Add', ['m', 'bias'], ['r']),
          node('ArgMax', ['bias'], ['i'], { axis: 0 }),
        ],
        initializers: [floats('inner', [4, 100])],
        outputs: ['r', 'i'],
      });
    const proto = build({
      nodes: [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'zero'], ['n']),
        node('Less', ['n', 'hundred'], ['few']),
        node('If', ['few'], ['h', 'best'], { then_branch: branch(), else_branch: branch() }),
        node('Shape', ['h'], ['size']),
        node('Gather', ['size', 'one'], ['width']),
        node('Identity', ['h'], ['y']),
      ],
      initializers: [integers('zero', [0], []), integers('one', [1], []), integers('hundred', [100], [])],
    });
    const traced = await trace(proto);
    assert.deepEqual(traced.shapesOf('h'), [
      [2, 100],
      [3, 100],
    ]);
    assert.deepEqual(traced.integersOf('few'), [1]);
    assert.deepEqual(traced.integersOf('width'), [100]);
    assert.equal(traced.dtypeOf('best'), 'int64');
    assert.equal(traced.integersOf('best'), null);
    await assertOutputsAgree(encode(proto), traced);
  });

  test('in functions are found where the model calls them', async () => {
    const proto = build({
      nodes: [
        node('layer', ['x'], ['h'], {}, 'local'),
        node('Shape', ['h'], ['shape']),
        node('Gather', ['shape', 'one'], ['width']),
        node('layer', ['x'], ['y'], {}, 'local'),
      ],
      initializers: [integers('one', [1], [])],
    });
    proto.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'local', version: 1n }));
    proto.functions = [
      modelFunction(
        'layer',
        ['a'],
        ['b'],
        [node('Constant', [], ['w'], { value: floats('', [4, 50]) }), node('MatMul', ['a', 'w'], ['b'])],
      ),
    ];
    const traced = await trace(proto);
    assert.deepEqual(traced.shapesOf('y'), [
      [2, 50],
      [3, 50],
    ]);
    assert.deepEqual(traced.integersOf('width'), [50]);
    await assertOutputsAgree(encode(proto), traced);
  });

  for (const opset of [7, 8, 9]) {
    test(`of opset ${opset} may be inputs of the graph, which nobody feeds`, async () => {
      const proto = build({
        inputs: [
          ['x', ['batch', 4]],
          ['w', [4, 100]],
          ['target', [3], 'INT64'],
        ],
        nodes: [node('MatMul', ['x', 'w'], ['h']), node('Reshape', ['h', 'target'], ['y'])],
        initializers: [floats('w', [4, 100]), integers('target', [0, 4, 25])],
        opset,
      });
      proto.irVersion = 3n;
      const traced = await trace(proto);
      assert.deepEqual(traced.shapesOf('y'), [
        [2, 4, 25],
        [3, 4, 25],
      ]);
      assert.deepEqual(traced.integersOf('target'), [0, 4, 25]);
    });
  }
});

describe('a model is refused', () => {
  test('that runs at no size, with the reason and what was tried', async () => {
    const error = await refusal(
      trace(
        build({
          inputs: [['x', ['batch', 'length']]],
          nodes: [node('Reshape', ['x', 'target'], ['y'])],
          initializers: [integers('target', [1013, 1019])],
        }),
      ),
    );
    assert.match(error.message, /with x \[2, 7\], nor with 7 other choices of sizes; onnxruntime: .*Reshape/);
    assert.ok(error.findings.some(({ path }) => path === 'x [1, 512]'));
  });

  test('that onnxruntime does not know', async () => {
    const error = await refusal(trace(build({ nodes: [node('Foo', ['x'], ['y'])] })));
    assert.match(error.message, /cannot open the model: .*Foo/);
  });

  test('whose inputs cannot be made up', async () => {
    const nodes = [node('Identity', ['x'], ['y'])];
    const texts = await refusal(trace(build({ inputs: [['x', ['n'], 'STRING']], nodes })));
    assert.match(texts.message, /"x", it takes string/);
    const proto = build({ nodes });
    const type = proto.graph!.input[0].type!.value;
    assert.ok(type.case === 'tensorType');
    delete type.value.shape;
    assert.match((await refusal(trace(proto))).message, /"x", it does not say how many axes it has/);
  });

  test('whose inputs would fill the memory', async () => {
    const inputs: Parts['inputs'] = [['x', ['batch', 2 ** 20, 2 ** 20]]];
    const error = await refusal(trace(build({ inputs, nodes: [node('Shape', ['x'], ['y'])] })));
    assert.match(error.message, /with x \[2, 1048576, 1048576\].*too large to try/);
  });

  test('whose integers fill the memory', async () => {
    const large = (name: string) =>
      create(TensorProtoSchema, {
        name,
        dims: [8n, 2n ** 20n],
        dataType: Type.INT64,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: [create(StringStringEntryProtoSchema, { key: 'location', value: 'w.bin' })],
      });
    const names = ['a', 'b', 'c', 'd', 'e'];
    const proto = build({
      nodes: [node('Gather', ['x', 'a'], ['y'])],
      initializers: names.map(large),
    });
    const others = { 'w.bin': new SparseSource(2 ** 26, new Map()) };
    assert.match((await refusal(trace(proto, others))).message, /more than 256 MiB/);
  });
});
