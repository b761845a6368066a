/**
 * Promises of ladders of trained networks, tested on samples that are drawn again and again from those of which everything is known: how often a promise does not hold, beside the rule that goes by the
 * estimate, and what sparsity each gives. Writes the table of `docs/promise.md`; exits 1 where a promise of 0.95 is broken by more than 5 % of the draws, or the exact paired test
 * differs from the figures of an independent study.
 *
 *   npm run check:promise [-- --fixtures path]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { pairedPValue, tangoStatistic } from '../src/core/paired-test.ts';
import { RandomWords } from '../src/core/random-words.ts';
import { flipsTest, type PairedRisk, type RiskTest, riskOf, riskPValue } from '../src/core/risk-test.ts';
import { PAIRED_VECTORS } from '../test/core/paired-vectors.ts';
import { sharedFixtures } from '../test/shared.ts';
import { climbLadders, type Rung } from './check-promise/ladder.ts';
import { openNetwork } from './reproduce/network.ts';
import { formatTable } from './reproduce/table.ts';
import { titleOf } from './reproduce/titles.ts';

const DOCUMENT = new URL('../docs/promise.md', import.meta.url);
const [START, END] = ['<!-- written by npm run check:promise -->', '<!-- end -->'];
const NETWORKS = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist'];
const ALPHA = 0.05;
const DRAWS = 200;
const SIZES = [300, 1000, 3000];
const LIMITS = [0.005, 0.01, 0.02];

/** How a rung's samples are tested. */
interface Kind {
  readonly title: string;
  readonly riskOf: (rung: Rung) => PairedRisk;
  readonly testOf: (n: number, limit: number) => RiskTest;
}

const KINDS: readonly Kind[] = [
  { title: 'accuracy drop', riskOf: ({ accuracy }) => accuracy, testOf: flipsTest },
  { title: 'disagreement', riskOf: ({ disagreement }) => disagreement, testOf: () => ({ name: 'binomial' }) },
];

const { values } = parseArgs({ options: { fixtures: { type: 'string' } } });
const fixtures = values.fixtures ?? sharedFixtures();
const wrong = PAIRED_VECTORS.filter(([n, limit, harmful, helpful, statistic, p]) => {
  const flips = { n, harmful, helpful };
  const isSame = Math.abs(tangoStatistic(flips, limit) - statistic) < 5e-6;
  return !isSame || Math.abs(pairedPValue(flips, limit, ALPHA) - p) >= 5e-7;
});
console.log(`exact paired test: ${PAIRED_VECTORS.length - wrong.length} of ${PAIRED_VECTORS.length} vectors`);
let isBroken = wrong.length > 0;
if (fixtures === null)
  console.error('no fixtures: ladders did not run; name their folder (-- --fixtures path)');
else await writeTable(fixtures);
process.exitCode = isBroken ? 1 : 0;

async function writeTable(folder: string): Promise<void> {
  const rows: string[][] = [];
  for (const name of NETWORKS) {
    const network = await openNetwork(folder, name);
    const ladder = await climbLadders(network, tmpdir());
    console.error(`${name}: ${ladder.length} rungs`);
    for (const kind of KINDS)
      for (const n of SIZES)
        for (const limit of LIMITS) rows.push([titleOf(network), ...rowOf(ladder, kind, n, limit)]);
  }
  const head = ['network', 'promise', 'samples', 'limit, points', 'broken %', 'by estimate %'];
  const table = formatTable([...head, 'sparsity %', 'by estimate %', 'at best %'], rows, 2);
  const text = await readFile(DOCUMENT, 'utf8');
  const [start, end] = [text.indexOf(START), text.indexOf(END)];
  await writeFile(DOCUMENT, `${text.slice(0, start)}${START}\n${table}\n${text.slice(end)}`);
  console.log(table);
}

/** Of all draws: how often the rung that was promised costs more than the limit in truth, and its mean sparsity; of the last rung whose estimate is within it the same. */
function rowOf(ladder: readonly Rung[], kind: Kind, n: number, limit: number): string[] {
  const truths = ladder.map((rung) => riskOf(kind.riskOf(rung)));
  const best = Math.max(0, ...ladder.filter((_, i) => truths[i] <= limit).map(({ sparsity }) => sparsity));
  const test = kind.testOf(n, limit);
  const random = new RandomWords(n + 1e6 * limit);
  const known = new Map<string, number>();
  const pValue = (risk: PairedRisk) => {
    const flips = [...risk.cost].reduce((sums, cost) => sums + (cost > 0 ? 1 : cost < 0 ? 1e6 : 0), 0);
    const p = known.get(`${flips}`) ?? riskPValue(risk, limit, test, ALPHA);
    known.set(`${flips}`, p);
    return p;
  };
  const tally = { promised: { broken: 0, sparsity: 0 }, estimated: { broken: 0, sparsity: 0 } };
  for (let draw = 0; draw < DRAWS; draw++) {
    const population = kind.riskOf(ladder[0]).cost.length;
    const places = Uint32Array.from({ length: n }, () => Math.floor((random.next() / 2 ** 32) * population));
    const drawn = ladder.map((rung) => drawFrom(kind.riskOf(rung), places));
    const firstFailed = drawn.findIndex((risk) => pValue(risk) > ALPHA);
    const firstBeyond = drawn.findIndex((risk) => riskOf(risk) > limit);
    for (const [how, failed] of [
      ['promised', firstFailed],
      ['estimated', firstBeyond],
    ] as const) {
      const rung = (failed < 0 ? ladder.length : failed) - 1;
      if (rung < 0) continue;
      tally[how].sparsity += ladder[rung].sparsity / DRAWS;
      if (truths[rung] > limit) tally[how].broken += 1 / DRAWS;
    }
  }
  const { promised, estimated } = tally;
  if (promised.broken > ALPHA) isBroken = true;
  const percents = [promised.broken, estimated.broken, promised.sparsity, estimated.sparsity, best];
  return [kind.title, `${n}`, `${100 * limit}`, ...percents.map((share) => (100 * share).toFixed(1))];
}

function drawFrom({ cost, weight }: PairedRisk, places: Uint32Array): PairedRisk {
  return {
    cost: Float64Array.from(places, (place) => cost[place]),
    weight: Float64Array.from(places, (place) => weight[place]),
  };
}
