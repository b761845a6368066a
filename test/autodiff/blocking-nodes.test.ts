import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseBlockingNodes } from '../../src/autodiff/blocking-nodes.ts';
import type { GradientRules } from '../../src/autodiff/derivative.ts';
import { differentiate } from '../../src/autodiff/sweep.ts';
import { EmpError } from '../../src/core/errors.ts';
import type { NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../../src/graph/graph-builder.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { floats, graph, model, node } from '../models/build-model.ts';

const branch = graph({ nodes: [node('MatMul', ['gated', 'inner'], ['b'])], outputs: ['b'] });
const nodes: NodeProto[] = [
  node('MatMul', ['x', 'first'], ['h']),
  node('Fancy', ['h'], ['gated'], {}, 'com.example'),
  node('MatMul', ['x', 'inner_source'], ['inner']),
  node('If', ['c'], ['chosen'], { then_branch: branch, else_branch: branch }),
  node('MatMul', ['chosen', 'gated'], ['joined']),
  node('MatMul', ['joined', 'last'], ['y']),
];
/** Enough to go on: gradients are not looked at. */
const rules: GradientRules = new Map([['MatMul', ({ node }) => node.inputs.map(() => 'y')]]);

/** What is said of the weights by these names. */
function refusal(names: readonly string[]): EmpError {
  const initializers = ['first', 'inner_source', 'last'].map((name) => floats(name, [2, 2]));
  const proto = model({ nodes, initializers, inputs: ['x', 'c'], outputs: ['y'] });
  const { graph: main } = new OnnxModel(proto);
  const builder = new GraphBuilder(proto.graph!, 'g_', 17);
  const facts = { shapeOf: () => null, constantOf: () => null };
  const found = differentiate(main, builder, facts, new Map([['y', 'y']]), names, rules);
  assert.ok('blocking' in found);
  try {
    refuseBlockingNodes(found.blocking, main, new Map(names.map((name) => [`weight ${name}`, name])));
  } catch (error) {
    assert.ok(error instanceof EmpError);
    return error;
  }
}

test('every blocking node is listed, and which weights lie after them', () => {
  const error = refusal(['first', 'inner_source', 'last']);
  assert.equal(error.code, 'unsupported_model');
  assert.match(error.message, /through 2 nodes/);
  assert.match(error.message, /If, Fancy of com\.example/);
  assert.match(
    error.message,
    /magnitude, or try wanda or activation, or include only weights after them: weight last$/,
  );
  assert.deepEqual(error.findings, [
    { path: 'If_chosen', message: 'If holds a graph of its own' },
    { path: 'Fancy_gated', message: 'Fancy of com.example has no gradient rule' },
  ]);
});

test('no weights are left where all lie before them', () => {
  const error = refusal(['inner_source']);
  assert.match(error.message, /through one node .*: all selected weights lie before them$/);
  assert.equal(error.findings.length, 1);
});
