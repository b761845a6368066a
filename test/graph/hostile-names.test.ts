import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { readOnnxInventory } from '../../src/graph/onnx-inventory.ts';
import { field, nest, repeat } from '../models/wire-bytes.ts';

/** float32 [1], one number. */
const tensor = (name: string) =>
  new Uint8Array(Buffer.concat([Uint8Array.of(8, 1, 16, 1), field(8, name), field(9, 'abcd')]));
const number = (index: number) => index.toString(36);
/** The same names, whichever graph they stand in. */
const initializers = (count: number) =>
  Buffer.concat(Array.from({ length: count }, (_, index) => field(5, tensor(number(index)))));

async function readInventory(bytes: Uint8Array) {
  return await readOnnxInventory(new Map([['model.onnx', bytesSource(bytes)]]));
}

test('a node named by a megabyte, around thousands of names: refused at once', async () => {
  const names = Array.from({ length: 3000 }, (_, index) => field(5, tensor(`w${number(index)}`)));
  const branch = field(5, field(1, 'then_branch'), field(6, ...names));
  const bytes = nest([7, 1], Buffer.concat([field(3, 'n'.repeat(2 ** 20)), field(4, 'If'), branch]));
  const before = process.cpuUsage();
  await assert.rejects(readInventory(bytes), {
    code: 'malformed_onnx',
    message: /expected NodeProto.name to have at most 4096 bytes, found 1048576/,
  });
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 5e6); // it took 18 minutes
});

describe('an inventory grows with its file, not with a product of names', () => {
  const long = 'n'.repeat(4096);
  const inner = (name: string, graph: Uint8Array) =>
    field(1, field(3, name), field(4, 'If'), field(5, field(1, name), field(6, graph)));
  const files: Readonly<Record<string, (count: number) => Uint8Array>> = {
    'one name in graphs inside a node of a long name': (count) => {
      const branches = Array.from({ length: 2 }, () => inner(long, initializers(count)));
      return field(7, ...branches);
    },
    'one name in graphs nested below long names': (count) => {
      let graph = initializers(count);
      for (let depth = 0; depth < 20; depth++) graph = Buffer.concat([inner(long, graph), initializers(1)]);
      return field(7, graph);
    },
    'a Constant of a long name with many tensors': (count) => {
      const attributes = repeat(field(5, field(1, 'value'), field(5, tensor(''))), count);
      return field(7, field(1, field(2, long), field(4, 'Constant'), attributes));
    },
    'a node of a long name with many tensors': (count) => {
      const attributes = repeat(field(5, field(1, 'w'), field(5, tensor(''))), count);
      return field(7, field(1, field(3, long), field(4, 'Op'), attributes));
    },
    'a function of a long name': (count) => {
      const constant = (index: number) =>
        field(
          7,
          field(2, number(index)),
          field(4, 'Constant'),
          field(5, field(1, 'value'), field(5, tensor(''))),
        );
      const constants = Array.from({ length: count }, (_, index) => constant(index));
      return Buffer.concat([field(7), field(25, field(1, long), field(10, 'local'), ...constants)]);
    },
    'one name': (count) => field(7, repeat(field(5, tensor('w')), count)),
    'no names': (count) => field(7, repeat(field(5), count)),
    'long names, each once': (count) => {
      const named = Array.from({ length: count / 100 }, (_, index) =>
        field(5, tensor(number(index).padEnd(4096, 'n'))),
      );
      return field(7, ...named);
    },
  };
  for (const [title, fileOf] of Object.entries(files)) {
    test(title, async () => {
      for (const count of [1000, 10_000]) {
        const bytes = fileOf(count);
        const { tensors } = await readInventory(bytes);
        const { length } = JSON.stringify(tensors);
        assert.ok(length < 100 * bytes.byteLength, `${length} of ${bytes.byteLength}`);
        assert.equal(new Set(tensors.map(({ name }) => name)).size, tensors.length);
      }
    });
  }
});
