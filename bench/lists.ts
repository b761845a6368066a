import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { readBaseUrl, SERVICE, type Server, spawnServer, startServer } from '../scripts/start-server.ts';
import { createApp } from '../src/http/app.ts';
import { ModelReader } from '../src/intake/model-reader.ts';
import { StructureAnalyses } from '../src/intake/structure-analyses.ts';
import { connectBackend } from '../src/jobs/backends/connect.ts';
import { openJobs } from '../src/jobs/job-service.ts';
import { recipeSchema } from '../src/recipe/recipe.ts';
import { FolderStore } from '../src/storage/folder-store.ts';
import { startRedis } from '../test/services/redis.ts';
import { formatMilliseconds, formatRatio, formatTable, measureInterleaved, median, time } from './measure.ts';

const FEW = 20;
const MANY_JOBS = 5000;
const MODELS = 500;
/** Between two jobs. */
const INTERVAL_MS = 60_000;
const FIRST = Date.UTC(2026, 0, 1);
const LIST_ROUNDS = 400;
const OPEN_ROUNDS = 200;
const PROCESS_ROUNDS = 30;
const WARM_UP = 2;
const log = pino({ level: 'silent' });

/** What lists and a start cost where much is stored, against where nothing or little is. */
export async function benchLists(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  const redis = await startRedis();
  try {
    const [empty, few, many] = ['empty', 'few', 'many'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await writeData(few, FEW, FEW);
    await writeData(many, MANY_JOBS, MODELS);
    const indexing = await time(async () => (await FolderStore.open(many)).close());
    await (await FolderStore.open(empty)).close();
    const pages = await measurePages(few, many, redis.url);
    const starts = await measureStarts(empty, many, redis.url);
    return [
      `${MANY_JOBS.toLocaleString('en-US')} finished jobs, one a minute, and ${MODELS} models; against ${FEW} of each, or for a start none; queue on Redis. Pages of 20 over one connection to localhost, medians of ${LIST_ROUNDS}`,
      `rounds; starts without a process are all that \`main.ts\` opens, to listening, medians of ${OPEN_ROUNDS} rounds; of processes, whose time varies with all else on the machine, the fastest of ${PROCESS_ROUNDS}. Rounds are interleaved.`,
      `The first start on such data from a version without an index takes ${formatMilliseconds(indexing)} ms once.`,
      '',
      formatTable(['', 'little, ms', 'much, ms', 'ratio'], [...pages, ...starts]),
    ].join('\n');
  } finally {
    await redis.stop();
    await rm(directory, { recursive: true });
  }
}

/** Resources as an earlier version left them: without an index, which the first start makes. */
async function writeData(root: string, nJobs: number, nModels: number): Promise<void> {
  const idOf = (prefix: string, i: number) => `${prefix}_${String(i).padStart(26, '0')}`;
  const file = { name: 'model.safetensors', size_bytes: 1, sha256: '0'.repeat(64) };
  for (let i = 0; i < nModels; i++) {
    const created_at = new Date(FIRST + i * INTERVAL_MS).toISOString();
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
  for (let i = 0; i < nJobs; i++) {
    const created_at = new Date(FIRST + i * INTERVAL_MS).toISOString();
    const request = { model_id: idOf('mdl', 0), ...nothing, recipe: recipeSchema.parse({}), metadata: {} };
    const record = { id: idOf('job', i), created_at, ...request, request_sha256: '' };
    const times = { started_at: created_at, finished_at: created_at, timings_ms: { score: 1 } };
    const result = { status: 'succeeded', ...times, error: null, summary, artifacts };
    await writeResource(join(root, 'jobs', record.id), { 'record.json': record, 'result.json': result });
  }
}

async function writeResource(folder: string, documents: Record<string, unknown>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, value] of Object.entries(documents))
    await writeFile(join(folder, name), JSON.stringify(value));
}

async function measurePages(few: string, many: string, redisUrl: string): Promise<string[][]> {
  await using little = await startServer(SERVICE, { DATA_DIR: few, REDIS_URL: redisUrl });
  await using much = await startServer(SERVICE, { DATA_DIR: many, REDIS_URL: redisUrl });
  const { next_cursor } = (await page(much, 'jobs?limit=100')) as { next_cursor: string };
  const rows: string[][] = [];
  for (const [what, path, yardstick] of [
    ['first page of `/v1/jobs`', 'jobs', 'jobs'],
    ['a later page of `/v1/jobs`', `jobs?cursor=${next_cursor}`, 'jobs'],
    ['first page of `/v1/models`', 'models', 'models'],
  ] as const) {
    const measure = (server: Server, asked: string) => () => time(() => page(server, asked));
    const medians = await compare(measure(little, yardstick), measure(much, path), LIST_ROUNDS);
    rows.push(rowOf(what, medians));
  }
  return rows;
}

async function page({ baseUrl }: Server, path: string): Promise<unknown> {
  const response = await fetch(`${baseUrl}/v1/${path}`);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

async function measureStarts(empty: string, many: string, redisUrl: string): Promise<string[][]> {
  const storeTimes = new Map<string, number[]>([
    [empty, []],
    [many, []],
  ]);
  const open = async (dataDirectory: string) => {
    const { wholeMs, storeMs } = await openServices(dataDirectory, redisUrl);
    storeTimes.get(dataDirectory)?.push(storeMs);
    return wholeMs;
  };
  const whole = await compare(
    () => open(empty),
    () => open(many),
    OPEN_ROUNDS,
  );
  const processes = new Map([
    ['little', Number.POSITIVE_INFINITY],
    ['much', Number.POSITIVE_INFINITY],
  ]);
  for (let round = 0; round < PROCESS_ROUNDS; round++) {
    for (const [name, fastest] of processes) {
      const ms = await startProcess(name === 'little' ? empty : many, redisUrl);
      processes.set(name, Math.min(fastest, ms));
    }
  }
  const medianOf = (dataDirectory: string) =>
    median((storeTimes.get(dataDirectory) ?? []).slice(2 * WARM_UP));
  const store = new Map([
    ['little', medianOf(empty)],
    ['much', medianOf(many)],
  ]);
  return [
    rowOf('start of the process, to listening', processes),
    rowOf('start without the process', whole),
    rowOf('of that, the store and the recovery of jobs', store),
  ];
}

/** Opens what `main.ts` opens for the API, and closes it again. */
async function openServices(dataDirectory: string, redisUrl: string) {
  await using opened = new AsyncDisposableStack();
  let storeMs = 0;
  const wholeMs = await time(async () => {
    const start = performance.now();
    const store = opened.adopt(await FolderStore.open(dataDirectory), (it) => it.close());
    storeMs += performance.now() - start;
    const backend = opened.adopt(await connectBackend({ redisUrl, dataDirectory }), (it) => it.close());
    const jobs = opened.adopt(await openJobs({ store, backend, log }), (it) => it.close());
    storeMs += await time(() => jobs.recover());
    const analyses = opened.adopt(new StructureAnalyses({ store, log }), (it) => it.close());
    const reader = opened.adopt(new ModelReader(store.root), (it) => it.close());
    reader.warm();
    const app = opened.adopt(
      await createApp({ store, jobs, reader, analyses, log, maxUploadBytes: 1 }),
      (it) => it.close(),
    );
    await app.listen({ host: '127.0.0.1', port: 0 });
  });
  return { wholeMs, storeMs };
}

async function startProcess(dataDirectory: string, redisUrl: string): Promise<number> {
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
