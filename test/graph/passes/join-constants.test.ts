import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TensorProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { type EditedInputs, joinConstants } from '../../../src/graph/passes/join-constants.ts';
import { assertSame, fed, namesOf, nodesOf } from './pass-check.ts';
import { separated, sharing } from './shared-constants.ts';

describe('joinConstants', () => {
  const joined = (
    keep: (tensors: readonly TensorProto[]) => [TensorProto, number[][]][],
    isEdited: EditedInputs = () => false,
  ) => {
    const { proto, copies } = separated();
    joinConstants(proto, { copies, kept: new Map(keep(proto.graph!.initializer)), isEdited });
    return proto;
  };

  test('makes one again of copies of which the same is kept', async () => {
    const proto = joined(() => []);
    assert.deepEqual(namesOf(proto.graph?.initializer), ['scale', 'w', 'size']);
    assert.equal(nodesOf(proto)[1], 'b = Mul(a, scale)');
    await assertSame(sharing(), proto, fed('x', [2, 3]));
  });

  test('leaves copies of which something else is kept', () => {
    const proto = joined((tensors) => [[tensors.find(({ name }) => name === 'copy_0_scale')!, [[0, 2]]]]);
    assert.deepEqual(namesOf(proto.graph?.initializer), ['scale', 'w', 'size', 'copy_0_scale']);
    assert.equal(nodesOf(proto)[1], 'b = Mul(a, copy_0_scale)');
  });

  test('leaves copies that are to be edited, and what they are copies of', () => {
    for (const edited of ['a', 'b']) {
      const proto = joined(
        () => [],
        ({ output }, input, { dims }) => output[0] === edited && input === 1 && dims.length > 0,
      );
      assert.deepEqual(namesOf(proto.graph?.initializer), ['scale', 'w', 'size', 'copy_0_scale']);
    }
  });
});
