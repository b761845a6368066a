import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STAGES } from '../../../src/pipeline/progress.ts';
import { isEnded, type JobView, PATIENCE_MS } from '../client.ts';
import type { Scenario, Trial } from '../scenario.ts';
import type { Role } from '../site.ts';
import type { RecipeName } from '../workload.ts';

/** Brings a job to where it is to be disturbed. */
type Approach = (trial: Trial, disturb: () => Promise<void>) => Promise<void>;

/** The request has arrived in part: nothing is acknowledged, and the client sends it again. */
const inUpload: Approach = async ({ site, ledger }, disturb) => {
  await site.client.submitPartly('most', 0.6, disturb);
  await ledger.submit();
};

const acknowledged: Approach = async ({ ledger }, disturb) => {
  await ledger.submit();
  await disturb();
};

const queued: Approach = async ({ ledger }, disturb) => {
  await ledger.submit();
  await ledger.submit('scoring');
  await disturb();
};

/** A stage that is over in milliseconds may be left behind by the time of the kill. */
function inStage(stage: string, recipe: RecipeName): Approach {
  const at = (STAGES as readonly string[]).indexOf(stage);
  return async ({ site, ledger }, disturb) => {
    const id = await ledger.submit(recipe);
    const isThere = ({ progress }: JobView) =>
      (STAGES as readonly string[]).indexOf(progress?.stage ?? '') >= at;
    const job = await site.client.until(id, isThere);
    if (!job || !(isThere(job) || isEnded(job)))
      throw new Error(`${id} did not reach stage ${stage} within a minute`);
    await disturb();
  };
}

/** Between a job's last bytes, its result, and the queue's knowing of it lie milliseconds: the folder is watched. */
function whenWritten(name: string): Approach {
  return async ({ site, ledger }, disturb) => {
    const path = join(site.directory, 'jobs', await ledger.submit('scoring'), name);
    const deadline = Date.now() + PATIENCE_MS;
    while (!existsSync(path)) {
      if (Date.now() > deadline) throw new Error(`${path} was not written within a minute`);
      await sleep(1);
    }
    await disturb();
  };
}

const APPROACHES: readonly Approach[] = [
  inUpload,
  acknowledged,
  queued,
  ...STAGES.map((stage) => inStage(stage, stage === 'score' ? 'scoring' : 'most')),
  whenWritten('artifacts'),
  whenWritten('result.json'),
];

function nameOf(victim: Role, signal: NodeJS.Signals): string {
  const what = signal === 'SIGKILL' ? 'kill -9' : signal;
  return `${what} of the ${{ all: 'single process', api: 'API', worker: 'worker' }[victim]}`;
}

function killing(victim: Role, signal: NodeJS.Signals): Scenario {
  return {
    part: 'kills',
    name: `${nameOf(victim, signal)} at every stage`,
    backend: victim === 'all' ? 'embedded' : 'redis',
    async run(trial) {
      for (const approach of APPROACHES)
        await approach(trial, async () => {
          trial.ledger.injected();
          await trial.site.kill(victim, signal);
          await trial.site.start(victim);
        });
    },
  };
}

/** The worker lives on, and starts another child. A job whose child is killed three times has failed, rightly: none is to be met by kills of several stages. */
const killOfChild: Scenario = {
  part: 'kills',
  name: 'kill -9 of the computing child at every stage',
  backend: 'redis',
  async run(trial) {
    for (const approach of APPROACHES) {
      await approach(trial, async () => {
        for (const pid of await trial.site.descendants('worker')) {
          trial.ledger.injected();
          process.kill(pid, 'SIGKILL');
        }
      });
      await trial.ledger.ended();
    }
  },
};

/** How long a model loops before its worker goes. */
const LOOP_MS = 2000;

/** A child that computes without a pause does not hear that its parent is gone. */
function killingLoop(victim: Role, signal: NodeJS.Signals): Scenario {
  return {
    part: 'kills',
    name: `${nameOf(victim, signal)} while a model loops for ever, which is then canceled`,
    backend: victim === 'all' ? 'embedded' : 'redis',
    async run({ site, ledger }) {
      const endless = await ledger.submit('endless');
      await ledger.submit('scoring');
      await site.client.until(endless, ({ status }) => status === 'running');
      await sleep(LOOP_MS);
      ledger.injected();
      await site.kill(victim, signal);
      await site.start(victim);
      await site.client.cancel(endless);
    },
  };
}

export const KILLS: readonly Scenario[] = [
  killing('api', 'SIGKILL'),
  killing('worker', 'SIGKILL'),
  killOfChild,
  killing('all', 'SIGKILL'),
  killing('api', 'SIGTERM'),
  killing('worker', 'SIGTERM'),
  killing('all', 'SIGTERM'),
  killingLoop('worker', 'SIGKILL'),
  killingLoop('worker', 'SIGTERM'),
  killingLoop('all', 'SIGKILL'),
];
