import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { type OnnxGraph, OnnxModel, type OnnxNode } from '../../src/graph/onnx-model.ts';
import { findFollowing, repairOrder } from '../../src/repair/repair-order.ts';
import { graph, model, node } from '../models/build-model.ts';

function read(nodes: NodeProto[]) {
  const { graph } = new OnnxModel(model({ nodes, inputs: ['x'], outputs: [] }));
  const at = (...outputs: string[]): OnnxNode[] =>
    outputs.flatMap((output) => graph.find(output)?.producer ?? []);
  return { graph, at };
}

function orderOf(
  graph: OnnxGraph,
  entries: readonly { item: string; nodes: readonly OnnxNode[] }[],
): string[][] {
  return repairOrder(graph, entries, ({ nodes }) => nodes).map((group) => group.map(({ item }) => item));
}

describe('the order of repairs', () => {
  test('items that do not depend on each other share a group', () => {
    const { graph, at } = read([
      node('Relu', ['x'], ['a']),
      node('Neg', ['a'], ['b']),
      node('Relu', ['b'], ['c']),
      node('Relu', ['x'], ['d']),
      node('Add', ['c', 'd'], ['e']),
    ]);
    const entries = ['a', 'c', 'd', 'e'].map((item) => ({ item, nodes: at(item) }));
    assert.deepEqual(orderOf(graph, entries), [['a', 'd'], ['c'], ['e']]);
    assert.deepEqual(orderOf(graph, []), []);
  });

  test('what a body reads counts', () => {
    const body = graph({ nodes: [node('Neg', ['a'], ['inner'])], outputs: ['inner'] });
    const through = graph({ nodes: [], outputs: ['a'] });
    for (const branch of [body, through]) {
      const { graph: main, at } = read([
        node('Relu', ['x'], ['a']),
        node('If', ['x'], ['b'], { then_branch: branch, else_branch: branch }),
        node('Relu', ['b'], ['c']),
      ]);
      const entries = ['a', 'c'].map((item) => ({ item, nodes: at(item) }));
      assert.deepEqual(orderOf(main, entries), [['a'], ['c']]);
    }
  });

  test('an item of several nodes comes after all that is before any of them', () => {
    const { graph, at } = read([
      node('Relu', ['x'], ['shared1']),
      node('Relu', ['shared1'], ['after']),
      node('Relu', ['x'], ['a']),
      node('Relu', ['a'], ['b']),
      node('Relu', ['b'], ['shared2']),
    ]);
    const entries = [
      { item: 'shared', nodes: at('shared1', 'shared2') },
      ...['after', 'a', 'b'].map((item) => ({ item, nodes: at(item) })),
    ];
    assert.deepEqual(orderOf(graph, entries), [['a'], ['b'], ['shared'], ['after']]);
  });

  test('items in a circle end all the same', () => {
    const { graph, at } = read([
      node('Relu', ['x'], ['a1']),
      node('Relu', ['a1'], ['b1']),
      node('Relu', ['x'], ['b2']),
      node('Relu', ['b2'], ['a2']),
    ]);
    const entries = [
      { item: 'a', nodes: at('a1', 'a2') },
      { item: 'b', nodes: at('b1', 'b2') },
    ];
    assert.deepEqual(orderOf(graph, entries).flat().sort(), ['a', 'b']);
  });

  test('tells nodes of which one reads what another gives', () => {
    const { graph, at } = read([
      node('Relu', ['x'], ['a']),
      node('Neg', ['a'], ['b']),
      node('Relu', ['b'], ['c']),
      node('Relu', ['x'], ['d']),
    ]);
    const sets = [at('a', 'c'), at('c', 'd'), at('a')].map((nodes) => new Set(nodes));
    const many = Array.from({ length: 40 }, () => sets.map((nodes) => new Set(nodes)));
    const expected = many.map(([following]) => following);
    assert.deepEqual([...findFollowing(graph, many.flat())], expected);
  });
});
