import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { score as kanNode } from '../../../src/criteria/structures/kan-node.ts';
import type { Family } from '../../../src/structure/families.ts';
import { integers, node, tensor } from '../../models/build-model.ts';
import { assertScores, gaussians, type SmallModel, smallModelContext } from '../../models/small-model.ts';
import { each, familiesOf, scoreFamilies } from './scored-families.ts';

const [INPUTS, HIDDEN, OUTPUTS, COEFFICIENTS] = [3, 5, 2, 4];

/** A layer as efficient-kan has it: SiLU times the base weights, and splines (here powers) scaled edge by edge. */
function kanLayer(layer: string, input: string, output: string, sizes: [number, number], seed: number) {
  const splines = gaussians(sizes[0] * sizes[1] * COEFFICIENTS, seed);
  const scaler = gaussians(sizes[0] * sizes[1], seed + 1);
  const name = (part: string) => `${layer}.${part}`;
  return {
    splines,
    scaler,
    nodes: [
      ...[node('Sigmoid', [input], [name('s')]), node('Mul', [input, name('s')], [name('silu')])],
      node('Transpose', [name('base_weight')], [name('base')], { perm: [1, 0] }),
      node('MatMul', [name('silu'), name('base')], [name('straight')]),
      ...[
        node('Unsqueeze', [input, 'last'], [name('wide')]),
        node('Pow', [name('wide'), 'powers'], [name('p')]),
      ],
      node('Unsqueeze', [name('spline_scaler'), 'last'], [name('scale')]),
      node('Mul', [name('spline_weight'), name('scale')], [name('scaled')]),
      ...[node('Flatten', [name('p')], [name('fp')]), node('Flatten', [name('scaled')], [name('fs')])],
      node('Transpose', [name('fs')], [name('ft')], { perm: [1, 0] }),
      node('MatMul', [name('fp'), name('ft')], [name('curved')]),
      node('Add', [name('straight'), name('curved')], [output]),
    ],
    initializers: [
      tensor(name('base_weight'), sizes, gaussians(sizes[0] * sizes[1], seed + 2)),
      tensor(name('spline_weight'), [...sizes, COEFFICIENTS], splines),
      tensor(name('spline_scaler'), sizes, scaler),
    ],
  };
}

const first = kanLayer('layers.0', 'x', 'h', [HIDDEN, INPUTS], 1);
const second = kanLayer('layers.1', 'h', 'y', [OUTPUTS, HIDDEN], 4);
const kan: SmallModel = {
  nodes: [...first.nodes, ...second.nodes],
  initializers: [
    ...[...first.initializers, ...second.initializers],
    tensor('powers', [COEFFICIENTS], Float32Array.of(0, 1, 2, 3)),
    integers('last', [-1]),
  ],
  outputs: ['y'],
  xShape: [6, INPUTS],
  x: gaussians(6 * INPUTS, 9),
};

const isNode = ({ kind }: Family) => kind === 'kan_node';

function meanOf(splines: ArrayLike<number>, edge: number): number {
  let sum = 0;
  for (let k = 0; k < COEFFICIENTS; k++) sum += Math.abs(splines[edge * COEFFICIENTS + k]);
  return sum / COEFFICIENTS;
}

function expectedOf(isScaled: boolean): number[] {
  const scale = (scaler: Float32Array, edge: number) => (isScaled ? Math.abs(scaler[edge]) : 1);
  return each(HIDDEN, (hidden) => {
    const incoming = each(INPUTS, (i) => hidden * INPUTS + i).map(
      (edge) => meanOf(first.splines, edge) * scale(first.scaler, edge),
    );
    const outgoing = each(OUTPUTS, (o) => o * HIDDEN + hidden).map(
      (edge) => meanOf(second.splines, edge) * scale(second.scaler, edge),
    );
    return Math.max(...incoming, ...outgoing);
  });
}

describe('kan_node: the largest spline of a node', () => {
  test('of those that lead to it and from it, scaled', async (t) => {
    const context = await smallModelContext(t, kan);
    const scores = await scoreFamilies('kan_node', context, isNode);
    assert.deepEqual([...scores.keys()], ['layers.0.base_weight']);
    assertScores(scores.get('layers.0.base_weight'), expectedOf(true), 1e-12);
  });

  test('of an export that has the scaler in its splines', async (t) => {
    const isFolded = (name: string) => /\.(scale|scaled)$/.test(name);
    const context = await smallModelContext(t, {
      ...kan,
      nodes: kan.nodes
        .filter(({ output }) => !isFolded(output[0]))
        .map((each) => ({
          ...each,
          input: each.input.map((name) => name.replace(/\.scaled$/, '.spline_weight')),
        })),
      initializers: kan.initializers?.filter(({ name }) => !name.endsWith('.spline_scaler')) ?? [],
    });
    const scores = await scoreFamilies('kan_node', context, isNode);
    assertScores(scores.get('layers.0.base_weight'), expectedOf(false), 1e-12);
  });

  test('a scaler of another shape is refused', async (t) => {
    const context = await smallModelContext(t, kan);
    const families = await familiesOf(context);
    const { directory, inventory } = context.model;
    const tensors = inventory.tensors.map((stored) =>
      stored.name === 'layers.0.spline_scaler' ? { ...stored, shape: [HIDDEN] } : stored,
    );
    const message = 'has shape [5], expected [5, 3]';
    await assert.rejects(
      kanNode(families, { ...context, model: { directory, inventory: { ...inventory, tensors } } }),
      {
        code: 'unsupported_model',
        message: `layers.0.spline_scaler ${message}`,
        findings: [{ path: 'layers.0.spline_scaler', message }],
      },
    );
  });
});
