import fc from 'fast-check';
import { RandomWords } from '../../src/core/random-words.ts';
import type { Arena, Observation } from './arena.ts';
import type { Attack } from './attack.ts';
import { archives } from './families/archives.ts';
import { checkpoints } from './families/checkpoints.ts';
import { jsonBodies } from './families/json-bodies.ts';
import { onnxFields } from './families/onnx-fields.ts';
import { onnxGraphs } from './families/onnx-graphs.ts';
import { requests } from './families/requests.ts';

/** They take turns, so that a short round meets each of them. */
const FAMILIES: readonly fc.Arbitrary<Attack | Promise<Attack>>[] = [
  onnxFields,
  jsonBodies,
  requests,
  checkpoints,
  onnxGraphs,
  archives,
];

/** Rounds of one seed; what comes after is that of the next. */
const ROUNDS = 100_000;

/** The attack of a round: the same for the same seed. */
export async function attackOf(seed: number, round: number): Promise<Attack> {
  const family = FAMILIES[round % FAMILIES.length];
  const [attack] = fc.sample(fc.noBias(family), {
    seed: new RandomWords(seed * ROUNDS + round).next(),
    numRuns: 1,
  });
  return attack;
}

/** Strikes round after round until the time is over. */
export async function* fuzz(
  arena: Arena,
  seed: number,
  ms: number,
): AsyncGenerator<[number, Observation], void> {
  const end = Date.now() + ms;
  for (let round = 0; Date.now() < end; round++)
    yield [round, await arena.strike(await attackOf(seed, round))];
}
