/**
 * Prunes the same models by the same amount with the product and with peers, each in a process of its own, and writes quality, time, memory, size and latency side by side into `docs/peers.md`, with what peers are
 * better in. The first time it makes a virtual environment for each peer, of Python 3.11 or newer, in the cache, by default a folder of the system's temporary one; a peer that cannot be installed has no rows.
 * Exits 1 where weights that must be the same are not, or where `least_squares` takes more than half as long again as the ridge regression of onnxsim, or is no more accurate.
 *
 *   npm run check:peers [-- --fixtures path] [-- --rounds 3] [-- --cache path]
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeLargeOnnx } from '../bench/large-models.ts';
import { describeMachine } from '../bench/measure.ts';
import { sharedFixtures } from '../test/shared.ts';
import { contest, type Given } from './check-peers/contest.ts';
import { type Contest, formatContests } from './check-peers/document.ts';
import { type Difference, findDifference } from './check-peers/pruned-model.ts';
import { PEERS, type Peer, TASKS, type Task } from './check-peers/tasks.ts';
import { ensureEnvironment } from './python-environment.ts';
import { openNetwork } from './reproduce/network.ts';

const DOCUMENT = new URL('../docs/peers.md', import.meta.url);
const [START, END] = ['<!-- written by npm run check:peers -->', '<!-- end -->'];
/** Of 4096 x 4096 weights. */
const LARGE_LAYERS = 6;
/** Of the time of onnxsim's ridge regression. */
const MOST_TIME = 1.5;

const { values } = parseArgs({
  options: {
    fixtures: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    cache: { type: 'string', default: join(tmpdir(), 'emp-peers') },
  },
});
const rounds = Number(values.rounds);
const fixtures = values.fixtures ?? sharedFixtures();
if (fixtures === null) throw new Error('no fixtures: name their folder (-- --fixtures path)');
await mkdir(values.cache, { recursive: true });
const pythons = new Map<Peer, string>();
const missing = new Map<Peer, string>();
for (const [peer, packages] of Object.entries(PEERS) as [Peer, readonly string[]][]) {
  try {
    pythons.set(peer, await ensureEnvironment(values.cache, packages));
  } catch (error) {
    console.error(error); // has paths of this machine, which are not for the page
    missing.set(peer, `pip does not install ${packages.join(', ')}`);
  }
}

const folder = await mkdtemp(join(tmpdir(), 'emp-peers-'));
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => rm(folder, { recursive: true }));
const contests: Contest[] = [];
const wrong: string[] = [];
for (const task of TASKS) {
  const given = await open(task, fixtures);
  const results = await contest(task, given, pythons, given.network === null ? 1 : rounds, folder);
  const [own, ...others] = results;
  const same = new Map<string, Difference | null>();
  for (const other of task.isSame ? others : [])
    same.set(other.tool, await findDifference(own.model, other.model));
  contests.push({ task, results, same });
  for (const { tool, processSeconds } of results)
    console.error(`${task.title}: ${tool}, ${processSeconds.toFixed(1)} s`);
  if ([...same.values()].some((found) => !found?.areTies)) wrong.push(`${task.title}: other weights`);
  if (task.isRace) wrong.push(...lostRace(results));
}
const text = await readFile(DOCUMENT, 'utf8');
const [start, end] = [text.indexOf(START), text.indexOf(END)];
const written = `${describeMachine()}\n\n${formatContests(contests, missing, rounds)}`;
await writeFile(DOCUMENT, `${text.slice(0, start)}${START}\n\n${written}\n\n${text.slice(end)}`);
console.log(written);
for (const each of wrong) console.error(each);
process.exitCode = wrong.length > 0 ? 1 : 0;

async function open({ network: name }: Task, from: string): Promise<Given> {
  if (name !== null) {
    const network = await openNetwork(from, name);
    const { directory } = network.model;
    return {
      path: join(directory, 'model.onnx'),
      calibration: join(directory, 'calibration_inputs.npy'),
      network,
    };
  }
  const path = join(folder, 'large.onnx');
  await writeLargeOnnx(path, LARGE_LAYERS);
  return { path, calibration: '', network: null };
}

function lostRace([own, ...others]: Contest['results']): string[] {
  return others.flatMap((other) => {
    const [ours, theirs] = [own.repairSeconds ?? 0, other.repairSeconds ?? 0];
    const isSlow = ours > MOST_TIME * theirs;
    const isWorse = (own.quality?.accuracy ?? 0) <= (other.quality?.accuracy ?? 0);
    return [
      ...(isSlow ? [`least_squares took ${ours} s, the ridge regression of ${other.tool} ${theirs} s`] : []),
      ...(isWorse ? [`least_squares is no more accurate than ${other.tool}`] : []),
    ];
  });
}
