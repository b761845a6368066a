import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startPostgres } from '../../test/services/postgres.ts';
import { startRedis } from '../../test/services/redis.ts';
import { Ledger, type Reference } from './ledger.ts';
import type { Outcome, Scenario, Trial } from './scenario.ts';
import { Site } from './site.ts';
import { RECIPES, type RecipeName } from './workload.ts';

const run = promisify(execFile);

export type References = Readonly<Record<RecipeName, Reference>>;

/** What every recipe gives when nothing happens. */
export async function runUndisturbed(): Promise<References> {
  const found: Partial<Record<RecipeName, Reference>> = {};
  for (const recipe of Object.keys(RECIPES) as RecipeName[]) {
    const scenario: Pick<Scenario, 'backend'> = { backend: 'redis' };
    await inTrial(scenario, null, async ({ ledger }) => {
      await ledger.submit(recipe);
      found[recipe] = await ledger.reference();
    });
  }
  return found as References;
}

/** Runs a scenario on servers and a data directory of its own. */
export async function runScenario(scenario: Scenario, references: References): Promise<Outcome> {
  const obstacle = (await scenario.obstacle?.()) ?? null;
  if (obstacle !== null)
    return { scenario, seconds: 0, counts: null, brokeOff: null, notes: [`did not run: ${obstacle}`] };
  const since = performance.now();
  const notes: string[] = [];
  let brokeOff: string | null = null;
  const { left, result } = await inTrial(scenario, references, async (trial) => {
    try {
      await scenario.run(trial);
    } catch (error) {
      // What could not even be done is told beside what came of the rest.
      brokeOff = error instanceof Error ? error.message : String(error);
      notes.push(`broke off: ${brokeOff}`);
    }
    const counts = await trial.ledger.settle();
    notes.push(...trial.ledger.notes);
    return counts;
  });
  notes.push(...left.map((what) => `left: ${what}`));
  const counts = { ...result, childrenLeft: left.length };
  return { scenario, seconds: (performance.now() - since) / 1000, counts, brokeOff, notes };
}

async function inTrial<T>(
  {
    backend,
    environment,
    diskMebibytes,
    honestFailures,
  }: Pick<Scenario, 'backend' | 'environment' | 'diskMebibytes' | 'honestFailures'>,
  references: References | null,
  work: (trial: Trial) => Promise<T>,
): Promise<{ left: readonly string[]; result: T }> {
  await using cleanup = new AsyncDisposableStack();
  const scratch = await mkdtemp(join(tmpdir(), 'emp-chaos-'));
  cleanup.defer(() => rm(scratch, { recursive: true, force: true, maxRetries: 5 }));
  const data = join(scratch, 'data');
  await mkdir(data);
  if (diskMebibytes !== undefined) {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${diskMebibytes}m`, 'emp-chaos', data]);
    cleanup.defer(async () => void (await run('umount', ['--lazy', data])));
  }
  const queue = await { redis: startRedis, postgres: startPostgres, embedded: () => null }[backend]();
  if (queue) cleanup.defer(() => queue.stop());
  const address = { redis: 'REDIS_URL', postgres: 'DATABASE_URL', embedded: 'NO_QUEUE' }[backend];
  const site = await Site.create(data, { [address]: queue?.url ?? '', ...environment });
  let left: readonly string[] = [];
  cleanup.defer(async () => void (await site.close()));
  for (const role of backend === 'embedded' ? (['all'] as const) : (['api', 'worker'] as const))
    await site.start(role);
  const ledger = new Ledger(site, references, honestFailures);
  const result = await work({ site, ledger, queue });
  left = await site.close();
  return { left, result };
}
