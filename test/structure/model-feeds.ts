import { RandomWords } from '../../src/core/random-words.ts';
import { elementCount } from '../../src/formats/model.ts';
import type { Fetched } from '../../src/formats/numbers.ts';
import { byteWidth, viewNumbers } from '../../src/formats/numbers.ts';
import type { OnnxInput } from '../../src/graph/interface.ts';
import type { Feeds } from '../../src/runtime/session.ts';

/** Below the rows of any table that integers pick from. */
const INTEGERS = 4;

/** The same numbers every time, floats from -1 to 1 and integers from 0 to 3. */
export function createFeeds(
  inputs: readonly OnnxInput[],
  shapeOf: (name: string) => readonly number[],
): Feeds {
  const random = new RandomWords(1);
  return new Map(
    inputs.map(({ name, dtype }): [string, Fetched] => {
      const shape = shapeOf(name);
      const data = viewNumbers(new ArrayBuffer(elementCount(shape) * byteWidth(dtype ?? '')), dtype ?? '');
      for (let i = 0; i < data.length; i++) {
        const share = random.next() / 2 ** 32;
        const integer = Math.floor(share * (dtype === 'bool' ? 2 : INTEGERS));
        data[i] = (
          dtype?.startsWith('float') ? 2 * share - 1 : /int64/.test(dtype ?? '') ? BigInt(integer) : integer
        ) as never;
      }
      return [name, { dtype: dtype ?? '', shape, data }];
    }),
  );
}
