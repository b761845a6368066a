import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmpError } from '../../src/core/errors.ts';
import { jobTask, type Work } from '../../src/jobs/run-job.ts';
import { serveTasks } from '../../src/jobs/serve-tasks.ts';
import { fillDisk } from '../services/fill-disk.ts';

/**
 * A worker's child whose work is what the job's metadata says: `steps` of `stepMs`, each a progress; `trace`, a file that gets a line
 * `<milliseconds> <pid>` an attempt; and for the first `trouble` attempts a `behaviour`: `throw`, `refuse` (an EmpError), `block` (goes on without end and hears nothing), `objects` and `bytes` (takes all memory), `SIGKILL` and other signals.
 * `fillFirst` and `fillLast` name a file that fills its disk, before the work and after it, `fillOnce` before that of the first attempt; `fillOwn` fills it with what is the attempt's own.
 */
const work: Work = async ({ metadata }, { outputDirectory, signal, onProgress }) => {
  const { trace = '', behaviour, trouble = '1', steps = '1', stepMs = '1', seed = '' } = metadata;
  const { fillFirst, fillLast, fillOnce, fillOwn } = metadata;
  appendFileSync(trace, `${Date.now()} ${process.pid}\n`);
  const attempts = readFileSync(trace, 'utf8').split('\n').length - 1;
  if (fillFirst) await fillDisk(fillFirst);
  if (fillOnce && attempts === 1) await fillDisk(fillOnce);
  if (fillOwn) await fillDisk(join(outputDirectory, 'filler'));
  if (behaviour && attempts <= Number(trouble)) {
    await sleep(20);
    if (behaviour === 'throw') throw new Error(`trouble in ${outputDirectory}`);
    if (behaviour === 'refuse')
      throw new EmpError('malformed_onnx', 'node 3 is cut short', [{ path: 'node/3', message: 'cut' }]);
    if (behaviour === 'block') {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    } else if (behaviour === 'objects') {
      for (const kept: object[] = []; ; ) kept.push(new Array(2 ** 20).fill({}));
    } else if (behaviour === 'bytes') {
      new Uint8Array(2 ** 31).fill(1);
    } else {
      process.kill(process.pid, behaviour);
      await sleep(60_000);
    }
  }
  for (let step = 0; step < Number(steps); step++) {
    onProgress({ stage: `step ${step}`, percent: (100 * step) / Number(steps) });
    await sleep(Number(stepMs), undefined, { signal });
  }
  const content = createHash('sha256').update(seed).digest();
  await writeFile(join(outputDirectory, 'model.bin'), content);
  if (fillLast) await fillDisk(fillLast);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return {
    summary: {
      n: 1,
      n_keep: 1,
      sparsity: 0,
      n_eff: 1,
      preserved_mass: 1,
      preserved_mass_bound: null,
    },
    timings_ms: {},
    artifacts: [
      { name: 'model.bin', media_type: 'application/octet-stream', size_bytes: content.byteLength, sha256 },
    ],
  };
};

await serveTasks({ prune: async () => ({ run: jobTask(work) }) });
