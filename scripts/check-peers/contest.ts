import { execFile } from 'node:child_process';
import { mkdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { medianOf } from '../../src/core/median.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import type { Network } from '../reproduce/network.ts';
import { measureQuality, type Quality, RUNTIME } from './pruned-model.ts';
import type { Peer, Task } from './tasks.ts';

/** What one tool made of a task; times are medians. */
export interface Result {
  readonly tool: 'EMP' | Peer;
  readonly versions: string | null;
  readonly model: StoredModel;
  /** Of a process from its start to its end. */
  readonly processSeconds: number;
  /** Within it, without its start and imports. */
  readonly seconds: number;
  readonly repairSeconds: number | null;
  readonly peakBytes: number;
  readonly fileBytes: number;
  /** Null of the large model. */
  readonly quality: Quality | null;
}

/** What a process prints. */
interface Printed {
  readonly seconds: number;
  readonly repair: number | null;
  readonly peak: number;
  readonly versions: string | null;
}

interface Measured {
  readonly printed: Printed;
  readonly processSeconds: number;
}

/** How a tool is run, and the file that it writes. */
interface Tool {
  readonly tool: Result['tool'];
  readonly output: string;
  readonly command: readonly string[];
}

/** A model on disk, and the calibration data for it. */
export interface Given {
  readonly path: string;
  readonly calibration: string;
  /** Null of the large model. */
  readonly network: Network | null;
}

const CHILD = fileURLToPath(new URL('../../bench/prune-child.ts', import.meta.url));
const PEERS_SCRIPT = fileURLToPath(new URL('./peers.py', import.meta.url));
const run = promisify(execFile);

/**
 * Runs a task with the product and with each peer, in turn, `rounds` times.
 * @param pythons those of the peers that could be installed
 * @param folder for what they write; it has room for each tool's model
 */
export async function contest(
  task: Task,
  { path, calibration, network }: Given,
  pythons: ReadonlyMap<Peer, string>,
  rounds: number,
  folder: string,
): Promise<Result[]> {
  const data = task.needsCalibration ? [calibration] : [];
  const own = join(folder, 'EMP');
  const recipe = JSON.stringify(task.recipe);
  const tools: Tool[] = [
    {
      tool: 'EMP',
      output: join(own, basename(path)),
      command: [process.execPath, CHILD, path, own, `${RUNTIME.threads}`, recipe, ...data],
    },
  ];
  for (const [peer, python] of pythons) {
    const verb = task.verbs[peer];
    if (verb === undefined) continue;
    const output = join(folder, peer, basename(path));
    tools.push({ tool: peer, output, command: [python, PEERS_SCRIPT, verb, path, output, ...data] });
  }
  const runs = new Map<Tool, Measured[]>();
  for (let round = 0; round < rounds; round++) {
    for (const each of tools) {
      await rm(dirname(each.output), { recursive: true, force: true });
      await mkdir(dirname(each.output), { recursive: true });
      runs.set(each, [...(runs.get(each) ?? []), await measure(each.command)]);
    }
  }
  const results: Result[] = [];
  for (const [{ tool, output }, measured] of runs) {
    const model = await readStoredModel(dirname(output), [basename(output)]);
    const of = (figure: (each: Measured) => number) => medianOf(measured.map(figure));
    const [{ printed }] = measured;
    results.push({
      tool,
      model,
      versions: printed.versions,
      processSeconds: of((each) => each.processSeconds),
      seconds: of((each) => each.printed.seconds),
      repairSeconds: printed.repair === null ? null : of((each) => each.printed.repair ?? 0),
      peakBytes: of((each) => each.printed.peak),
      fileBytes: (await stat(output)).size,
      quality: network && (await measureQuality(network, model)),
    });
  }
  return results;
}

async function measure([file, ...args]: readonly string[]): Promise<Measured> {
  const start = performance.now();
  const { stdout } = await run(file, args);
  const processSeconds = (performance.now() - start) / 1000;
  return { printed: printedOf(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')), processSeconds };
}

/** The product's child tells its stages by name. */
function printedOf(
  line: Printed | { timings_ms: Record<string, number>; seconds: number; peakBytes: number },
): Printed {
  if (!('timings_ms' in line)) return line;
  const { timings_ms, seconds, peakBytes } = line;
  const { repair } = timings_ms;
  return { seconds, repair: repair === undefined ? null : repair / 1000, peak: peakBytes, versions: null };
}
