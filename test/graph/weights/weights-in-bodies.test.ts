import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { floats, graph, modelFunction, node, weightsOf } from '../../models/build-model.ts';

const bothWays = { units: [1, 1, 6, 4], columns: [1, 6, 4, 1] }; // rows of a stored [6, 4], by axis of the units

describe('subgraphs and functions', () => {
  const body = (name: string) =>
    graph({
      nodes: [node('MatMul', ['x', 'outer'], ['a']), node('MatMul', ['a', 'w'], [name])],
      initializers: [floats('w', [6, 4])],
      outputs: [name],
    });

  test('branches of an If: their own weights, captured ones once, names qualified where needed', async () => {
    const nodes = [node('If', ['c'], ['y'], { then_branch: body('t'), else_branch: body('e') })];
    assert.deepEqual(
      await weightsOf({ nodes, initializers: [floats('outer', [6, 6])], inputs: ['x', 'c'] }),
      {
        outer: [1, 6, 6, 1],
        w: bothWays.columns,
        'If_y/else_branch/w': bothWays.columns,
      },
    );
  });

  test('a weight that an If chooses', async () => {
    const branch = (name: string) =>
      graph({ nodes: [], initializers: [floats(name, [6, 4])], outputs: [name] });
    const nodes = [
      node('If', ['c'], ['w'], { then_branch: branch('a'), else_branch: branch('b') }),
      node('MatMul', ['x', 'w'], ['y']),
    ];
    assert.deepEqual(await weightsOf({ nodes, inputs: ['x', 'c'] }), {
      a: bothWays.columns,
      b: bothWays.columns,
    });
  });

  test('the body of a Loop, with a weight carried along unchanged and a state that changes', async () => {
    const loop = graph({
      nodes: [
        node('MatMul', ['state', 'carried'], ['next']),
        node('MatMul', ['next', 'changing'], ['changed']),
        node('Identity', ['carried'], ['carried_on']),
      ],
      inputs: ['i', 'go', 'state', 'carried', 'changing'],
      outputs: ['go', 'next', 'carried_on', 'changed'],
    });
    const nodes = [node('Loop', ['n', '', 'x', 'w', 'v'], ['y', 'w2', 'v2'], { body: loop })];
    const initializers = [floats('w', [6, 6]), floats('v', [6, 6])];
    assert.deepEqual(await weightsOf({ nodes, initializers, inputs: ['x', 'n'] }), { w: [1, 6, 6, 1] });
  });

  test('a Scan over stacked layers', async () => {
    const layer = graph({
      nodes: [node('MatMul', ['state', 'w'], ['next'])],
      inputs: ['state', 'w'],
      outputs: ['next'],
    });
    const nodes = [node('Scan', ['x', 'stack'], ['y'], { body: layer, num_scan_inputs: 1 })];
    assert.deepEqual(await weightsOf({ nodes, initializers: [floats('stack', [3, 6, 6])], inputs: ['x'] }), {
      stack: [3, 6, 6, 1],
    });
  });

  test('arguments of functions, calls within calls, attributes by reference', async () => {
    const linear = modelFunction(
      'Linear',
      ['a', 'm', 'b'],
      ['r'],
      [node('Gemm', ['a', 'm', 'b'], ['r'], { transB: { ref: 'transposed' } })],
      ['transposed'],
    );
    const twice = modelFunction(
      'Twice',
      ['a', 'm', 'n', 'b'],
      ['r'],
      [
        node('Linear', ['a', 'm', 'b'], ['h'], { transposed: 1 }, 'local'),
        node('Linear', ['h', 'n', 'b'], ['r'], { transposed: 0 }, 'local'),
      ],
    );
    const nodes = [node('Twice', ['x', 'w', 'v', 'b'], ['y'], {}, 'local')];
    const initializers = [floats('w', [6, 4]), floats('v', [6, 4]), floats('b', [6])];
    assert.deepEqual(await weightsOf({ nodes, initializers, inputs: ['x'] }, [linear, twice]), {
      w: bothWays.units,
      v: bothWays.columns,
    });
  });

  test("a function's own Constant, and a constant that a function makes of its argument", async () => {
    const layer = modelFunction(
      'Layer',
      ['a'],
      ['r'],
      [node('Constant', [], ['k'], { value: floats('', [6, 4]) }), node('MatMul', ['a', 'k'], ['r'])],
    );
    const turn = modelFunction('Turn', ['m'], ['t'], [node('Transpose', ['m'], ['t'])]);
    const nodes = [
      node('Layer', ['x'], ['y1'], {}, 'local'),
      node('Layer', ['x'], ['y2'], {}, 'local'),
      node('Turn', ['w'], ['turned'], {}, 'local'),
      node('MatMul', ['x', 'turned'], ['y3']),
    ];
    assert.deepEqual(await weightsOf({ nodes, initializers: [floats('w', [6, 4])] }, [layer, turn]), {
      w: bothWays.units,
      k: bothWays.columns,
    });
  });

  test('a function that calls itself is refused', async () => {
    const self = modelFunction('Self', ['a'], ['r'], [node('Self', ['a'], ['r'], {}, 'local')]);
    const nodes = [node('Self', ['x'], ['y'], {}, 'local')];
    await assert.rejects(weightsOf({ nodes }, [self]), { name: 'EmpError', code: 'unsupported_model' });
  });

  test('functions that multiply beyond all bounds are refused', async () => {
    const functions = Array.from({ length: 30 }, (_, level) =>
      modelFunction(
        `F${level}`,
        ['a'],
        ['r'],
        [node(`F${level + 1}`, ['a'], ['h'], {}, 'local'), node(`F${level + 1}`, ['h'], ['r'], {}, 'local')],
      ),
    );
    const nodes = [node('F0', ['x'], ['y'], {}, 'local')];
    await assert.rejects(weightsOf({ nodes }, functions), { name: 'EmpError', code: 'unsupported_model' });
  });
});
