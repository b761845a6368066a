import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type ModelProto, ValueInfoProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { sinkConstants } from '../../../src/graph/passes/sink-constants.ts';
import { floats, graph, model, node } from '../../models/build-model.ts';
import { namesOf } from './pass-check.ts';

const branch = (stem: string, ...weights: string[]) =>
  graph({
    nodes: weights.map((weight, i) =>
      node('Add', [i === 0 ? 'x' : `${stem}${i - 1}`, weight], [`${stem}${i}`]),
    ),
    outputs: [`${stem}${weights.length - 1}`],
  });

function build(irVersion: bigint, inputs: string[] = []): ModelProto {
  const proto = model({
    nodes: [
      node('If', ['yes'], ['h'], {
        then_branch: branch('t', 'a', 'both'),
        else_branch: branch('e', 'b', 'both'),
      }),
      node('Add', ['h', 'outer'], ['i']),
      node('If', ['yes'], ['y'], { then_branch: branch('p', 'c', 'outer'), else_branch: branch('q', 'd') }),
    ],
    initializers: ['a', 'b', 'both', 'outer', 'c', 'd'].map((name) => floats(name, [2])),
    inputs: ['yes', 'x', ...inputs],
    outputs: ['y'],
  });
  proto.graph!.valueInfo = [create(ValueInfoProtoSchema, { name: 'h' })];
  return Object.assign(proto, { irVersion });
}

const storedIn = ({ graph: main }: ModelProto) => [
  namesOf(main?.initializer),
  ...main!.node.flatMap(({ attribute }) => attribute.flatMap(({ g }) => (g ? [namesOf(g.initializer)] : []))),
];

describe('sinkConstants', () => {
  test('moves what one branch alone reads into it', () => {
    const proto = build(8n);
    sinkConstants(proto);
    assert.deepEqual(storedIn(proto), [['both', 'outer'], ['a'], ['b'], ['c'], ['d']]);
  });

  test('leaves what is an input too, and old models, whose branches cannot store anything', () => {
    const fed = build(8n, ['a']);
    sinkConstants(fed);
    assert.deepEqual(storedIn(fed)[0], ['a', 'both', 'outer']);
    const old = build(3n);
    sinkConstants(old);
    assert.deepEqual(old, build(3n));
  });
});
