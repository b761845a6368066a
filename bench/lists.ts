import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { readBaseUrl, SERVICE, type Server, spawnServer, startServer } from '../scripts/start-server.ts';
import { medianOf } from '../src/core/median.ts';
import { createApp } from '../src/http/app.ts';
import { OpenAnswers } from '../src/http/open-answers.ts';
import { ModelAnalyses } from '../src/intake/model-analyses.ts';
import { ModelReader } from '../src/intake/model-reader.ts';
import { connectBackend } from '../src/jobs/backends/connect.ts';
import { openTenants, type Tenants } from '../src/jobs/tenants.ts';

import { recipeSchema } from '../src/recipe/recipe.ts';
import { FolderStore } from '../src/storage/folder-store.ts';
import { FolderStores } from '../src/storage/stores.ts';
import { createSafetensors } from '../test/models/safetensors-bytes.ts';
import { startRedis } from '../test/services/redis.ts';
import { formatMilliseconds, formatRatio, formatTable, measureInterleaved, time } from './measure.ts';

const FEW = { finished: 20, waiting: 20, models: 20 };
const MANY = { finished: 20_000, waiting: 5000, models: 500 };
/** Between two jobs. */
const INTERVAL_MS = 60_000;
const FIRST = Date.UTC(2026, 0, 1);
const LIST_ROUNDS = 400;
const DELETE_ROUNDS = 100;
/** Each looks at a thousand jobs. */
const UNFIT_ROUNDS = 40;
const OPEN_ROUNDS = 200;
const PROCESS_ROUNDS = 30;
const WARM_UP = 2;
const SORTED = { order: 'sparsity' } as const;
const log = pino({ level: 'silent' });

/** A data directory with a queue of its own. */
interface Site {
  readonly dataDirectory: string;
  readonly redisUrl: string;
}

/** What lists, deletions and a start cost where much is stored and waits, against where little does. */
export async function benchLists(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  const redis = await startRedis();
  try {
    const siteOf = (name: string, database: number): Site => ({
      dataDirectory: join(directory, name),
      redisUrl: `${redis.url}/${database}`,
    });
    const [few, many] = [siteOf('few', 1), siteOf('many', 2)];
    await writeData(few.dataDirectory, FEW);
    await writeData(many.dataDirectory, MANY);
    const indexing = await time(async () => (await FolderStore.open(many.dataDirectory)).close());
    const recovery = await openServices(many, (tenants) => time(() => tenants.recover()));
    await openServices(few, (tenants) => tenants.recover());
    const pages = await measureRequests(few, many);
    const starts = await measureStarts(few, many);
    const firstSorted = await openServices(many, async (tenants) => {
      const { jobs } = await tenants.of(null);
      return await time(() => jobs.list(20, undefined, SORTED));
    });
    const count = (n: number) => n.toLocaleString('en-US');
    return [
      `${count(MANY.finished)} finished jobs, one a minute, ${count(MANY.waiting)} waiting ones after them, and ${MANY.models} models; against ${FEW.finished} of each; queue on Redis. Requests over one connection to localhost, pages of 20, medians of ${LIST_ROUNDS}`,
      `rounds (deletions: ${DELETE_ROUNDS}); starts without a process are all that \`main.ts\` opens, to listening, medians of ${OPEN_ROUNDS} rounds; of processes, whose time varies with all else on the machine, the fastest of ${PROCESS_ROUNDS}. Rounds are interleaved.`,
      `The first start on such data from a version without an index takes ${formatMilliseconds(indexing)} ms once. To queue again ${count(MANY.waiting)} jobs that the queue has lost takes ${formatMilliseconds(recovery.value)} ms, beside everything else. The first sorted list that a process is asked for takes ${formatMilliseconds(firstSorted.value)} ms.`,
      '',
      formatTable(['', 'little, ms', 'much, ms', 'ratio'], [...pages, ...starts]),
    ].join('\n');
  } finally {
    await redis.stop();
    await rm(directory, { recursive: true });
  }
}

/** Resources as an earlier version left them: without an index, which the first start makes. */
async function writeData(root: string, { finished, waiting, models }: typeof FEW): Promise<void> {
  const file = { name: 'model.safetensors', size_bytes: 1, sha256: '0'.repeat(64) };
  for (let i = 0; i < models; i++) {
    const created_at = timeOf(i);
    const record = {
      id: idOf('mdl', i),
      created_at,
      format: 'safetensors',
      ...file,
      n_parameters: 1,
      files: [file],
    };
    await writeResource(join(root, 'models', record.id), { 'record.json': record });
  }
  const nothing = { scores_dataset_id: null, calibration_dataset_id: null, evaluation_dataset_id: null };
  const summary = {
    n: 8,
    n_keep: 4,
    sparsity: 0.5,
    n_eff: 4.7,
    preserved_mass: 0.9,
    preserved_mass_bound: 0.8,
  };
  const names = ['model.safetensors', 'masks.safetensors', 'report.json', 'report.html'];
  const artifacts = names.map((name) => ({ ...file, name, media_type: 'application/octet-stream' }));
  for (let i = 0; i < finished + waiting; i++) {
    const created_at = timeOf(i);
    const request = { model_id: idOf('mdl', 0), ...nothing, recipe: recipeSchema.parse({}), metadata: {} };
    const record = { id: idOf('job', i), created_at, ...request, request_sha256: '' };
    const times = { started_at: created_at, finished_at: created_at, timings_ms: { score: 1 } };
    const result = { status: 'succeeded', ...times, error: null, summary, artifacts };
    const documents = { 'record.json': record, ...(i < finished && { 'result.json': result }) };
    await writeResource(join(root, 'jobs', record.id), documents);
  }
}

function idOf(prefix: string, i: number): string {
  return `${prefix}_${String(i).padStart(26, '0')}`;
}

function timeOf(i: number): string {
  return new Date(FIRST + i * INTERVAL_MS).toISOString();
}

async function writeResource(folder: string, documents: Record<string, unknown>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, value] of Object.entries(documents))
    await writeFile(join(folder, name), JSON.stringify(value));
}

async function measureRequests(few: Site, many: Site): Promise<string[][]> {
  const serve = ({ dataDirectory, redisUrl }: Site) =>
    startServer(SERVICE, { DATA_DIR: dataDirectory, REDIS_URL: redisUrl, MAX_QUEUED_JOBS: '100000' }, 'api');
  await using little = await serve(few);
  await using much = await serve(many);
  const rows: string[][] = [];
  const add = async (what: string, ask: (server: Server) => Promise<number>, rounds: number) => {
    rows.push(
      rowOf(
        what,
        await compare(
          () => ask(little),
          () => ask(much),
          rounds,
        ),
      ),
    );
  };
  const timePage = (path: string) => (server: Server) => time(() => send(server, 'GET', path));
  await add('first page of `/v1/jobs`, of waiting ones', timePage('jobs'), LIST_ROUNDS);
  const cursor = Buffer.from(`${timeOf(FEW.finished)} ${idOf('job', FEW.finished)}`).toString('base64url');
  await add('a page of finished ones', timePage(`jobs?cursor=${cursor}`), LIST_ROUNDS);
  await add('a page sorted by a figure', timePage(`jobs?sort=${SORTED.order}`), LIST_ROUNDS);
  await add(
    'a page of those of a model',
    timePage(`jobs?status=succeeded&model_id=${idOf('mdl', 0)}`),
    LIST_ROUNDS,
  );
  await add('a page of a filter that no job fits', timePage('jobs?status=failed'), UNFIT_ROUNDS);
  await add('first page of `/v1/models`', timePage('models'), LIST_ROUNDS);
  await add('a waiting job', timePage(`jobs/${idOf('job', FEW.finished)}`), LIST_ROUNDS);
  let uploads = 0;
  const deleteModel = async (server: Server) => {
    const form = new FormData();
    const weights = createSafetensors({ [`fc${uploads++}.weight`]: [4, 8] });
    form.append('file', new Blob([new Uint8Array(weights)]), 'model.safetensors');
    const { id } = (await send(server, 'POST', 'models', form)) as { id: string };
    return time(() => send(server, 'DELETE', `models/${id}`));
  };
  await add('`DELETE` of a model', deleteModel, DELETE_ROUNDS);
  await add(
    '`DELETE` of one that waiting jobs need (409)',
    (server) => time(() => send(server, 'DELETE', `models/${idOf('mdl', 0)}`)),
    DELETE_ROUNDS,
  );
  return rows;
}

/** @throws Error where the answer is neither a success nor a refusal for what waits */
async function send({ baseUrl }: Server, method: string, path: string, body?: FormData): Promise<unknown> {
  const response = await fetch(`${baseUrl}/v1/${path}`, { method, ...(body && { body }) });
  const text = await response.text();
  if (!response.ok && response.status !== 409) throw new Error(text);
  return text && JSON.parse(text);
}

async function measureStarts(few: Site, many: Site): Promise<string[][]> {
  const recoveries = new Map<Site, number[]>([
    [few, []],
    [many, []],
  ]);
  const open = async (site: Site) => {
    const { wholeMs, value } = await openServices(site, (tenants) => time(() => tenants.recover()));
    recoveries.get(site)?.push(value);
    return wholeMs;
  };
  const whole = await compare(
    () => open(few),
    () => open(many),
    OPEN_ROUNDS,
  );
  const processes = new Map([
    ['little', Number.POSITIVE_INFINITY],
    ['much', Number.POSITIVE_INFINITY],
  ]);
  for (let round = 0; round < PROCESS_ROUNDS; round++) {
    for (const [name, fastest] of processes)
      processes.set(name, Math.min(fastest, await startProcess(name === 'little' ? few : many)));
  }
  const recoveryOf = (site: Site) => medianOf((recoveries.get(site) ?? []).slice(2 * WARM_UP));
  const recovery = new Map([
    ['little', recoveryOf(few)],
    ['much', recoveryOf(many)],
  ]);
  return [
    rowOf('start of the process, to listening', processes),
    rowOf('start without the process', whole),
    rowOf('every minute, beside everything else: are all queued?', recovery),
  ];
}

/** Opens what `main.ts` opens for the API, does something with it, and closes it again. `wholeMs`: the opening. */
async function openServices<T>({ dataDirectory, redisUrl }: Site, act: (tenants: Tenants) => Promise<T>) {
  await using opened = new AsyncDisposableStack();
  const start = performance.now();
  const stores = opened.adopt(await FolderStores.open(dataDirectory), (it) => it.close());
  const backend = opened.adopt(await connectBackend({ redisUrl, dataDirectory }), (it) => it.close());
  const tenants = opened.adopt(await openTenants({ stores, backend, log }), (it) => it.close());
  const analyses = opened.adopt(new ModelAnalyses({ stores, log }), (it) => it.close());
  const reader = opened.adopt(new ModelReader(stores.root), (it) => it.close());
  reader.warm();
  const openAnswers = new OpenAnswers({ inAll: 1, perClient: 1 });
  const app = opened.adopt(
    await createApp({
      tenants,
      reader,
      analyses,
      openAnswers,
      log,
      maxUploadBytes: 1,
      maxJsonBytes: 1,
    }),
    (it) => it.close(),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  const wholeMs = performance.now() - start;
  return { wholeMs, value: await act(tenants) };
}

async function startProcess({ dataDirectory, redisUrl }: Site): Promise<number> {
  const start = performance.now();
  const child = spawnServer(SERVICE, { DATA_DIR: dataDirectory, REDIS_URL: redisUrl }, 'api');
  await readBaseUrl(child);
  const ms = performance.now() - start;
  await new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGTERM');
  });
  return ms;
}

/** Medians of the two, each measured twice a round: neither always comes after the other. */
function compare(
  little: () => Promise<number>,
  much: () => Promise<number>,
  rounds: number,
): Promise<Map<string, number>> {
  const first = { name: 'little', measure: little };
  const second = { name: 'much', measure: much };
  return measureInterleaved([first, second, second, first], rounds / 2, WARM_UP);
}

function rowOf(what: string, medians: ReadonlyMap<string, number>): string[] {
  const little = medians.get('little') ?? Number.NaN;
  const much = medians.get('much') ?? Number.NaN;
  return [what, formatMilliseconds(little), formatMilliseconds(much), `**${formatRatio(much / little)}**`];
}
