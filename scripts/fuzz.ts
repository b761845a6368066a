/**
 * `npm run fuzz -- [--minutes 1] [--seed 1] [--health-ms 200] [--again FILE]`: strikes a service of its own with hostile inputs that a generator makes, and counts what they take:
 * answers to `/healthz`, CPU seconds, memory, statuses. Of each finding a file is written from which `--again` strikes once more. Exits with 1 where there are any.
 */
import { parseArgs } from 'node:util';
import { Arena, BOUNDS, type Observation } from './fuzz/arena.ts';
import { readReproducer, writeReproducer } from './fuzz/reproducer.ts';
import { fuzz } from './fuzz/rounds.ts';

const FOLDER = 'fuzz-findings';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    'health-ms': { type: 'string', default: String(BOUNDS.healthMs) },
    again: { type: 'string' },
  },
});

function describe({ attack, statuses, healthMs, cpuSeconds, peakMebibytes }: Observation): string {
  const codes = [...new Set(statuses)].join();
  const kilobytes = (attack.request.body.byteLength / 1000).toFixed(0);
  return `${attack.name} (${kilobytes} kB): ${codes}, health ${healthMs.toFixed(0)} ms, ${cpuSeconds.toFixed(1)} CPU s, peak ${peakMebibytes.toFixed(0)} MiB`;
}

await using arena = await Arena.open({ ...BOUNDS, healthMs: Number(values['health-ms']) });
const seed = Number(values.seed);
let nFindings = 0;
let nRounds = 0;

if (values.again !== undefined) {
  const seen = await arena.strike(await readReproducer(values.again));
  console.log([describe(seen), ...seen.findings].join('\n  '));
  nFindings = seen.findings.length;
} else {
  console.log(`seed ${seed}`);
  for await (const [round, seen] of fuzz(arena, seed, Number(values.minutes) * 60_000)) {
    nRounds++;
    console.log(`${round}: ${describe(seen)}`);
    if (seen.findings.length === 0) continue;
    nFindings++;
    const path = await writeReproducer(FOLDER, `${seed}-${round}`, seen);
    console.log(`  FOUND ${seen.findings.slice(0, 5).join('; ')}\n  npm run fuzz -- --again ${path}`);
  }
  console.log(`${nRounds} rounds, ${nFindings} with findings; seed ${seed}`);
}
process.exitCode = nFindings > 0 ? 1 : 0;
