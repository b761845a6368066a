import { openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArrayFile } from '../../src/formats/sample-set.ts';
import type { JobView } from '../../src/http/job-schemas.ts';
import type { SearchView } from '../../src/http/search-schemas.ts';
import { SERVICE, startServer } from '../start-server.ts';
import type { Network } from './network.ts';

/** Networks that are searched, and by how much the best of 17 attempts by hand made each smaller, compressed, within 1 % of loss; null where none was made. */
export const SEARCHED: Readonly<Record<string, number | null>> = {
  'fc2-mnist': null,
  'llama-tiny': 1.51,
  'cnn-fashion': 1.92,
  'resnet-fashion': 2.58,
  'kan-mnist': 2.61,
  'fc5-fashion': null,
  'fc12-fashion': 1.24,
};
const PROMISE = { max_loss_increase: 0.01 };
/** Of the best. */
const NEAR = 1.05;
const LOOK_MS = 200;

/** What a search came to, and when. */
export interface SearchFinding {
  readonly network: Network;
  readonly byHand: number | null;
  readonly search: SearchView;
  /** Seconds until something within the promise was known, until it was within 5 % of the best, and until the end. */
  readonly seconds: Readonly<Record<'first' | 'near' | 'end', number | null>>;
  /** Of a job with the best recipe and the promise as its target, by itself. */
  readonly aloneSeconds: number | null;
}

/** One request each to a service of its own, as `npm start` runs it; then the winner's recipe as a job, which searches its beta alone. */
export async function* runSearches(networks: readonly Network[]): AsyncGenerator<SearchFinding> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-searches-'));
  try {
    await using server = await startServer(SERVICE, { DATA_DIR: directory });
    for (const network of networks) yield await runSearch(`${server.baseUrl}/v1`, network);
  } finally {
    await rm(directory, { recursive: true, maxRetries: 5 });
  }
}

async function runSearch(api: string, network: Network): Promise<SearchFinding> {
  const { model, identity, calibration, evaluation } = network;
  const form = new FormData();
  form.append('file', await openAsBlob(join(model.directory, identity.name)), identity.name);
  const data = {
    model_id: await upload(`${api}/models`, form),
    calibration_dataset_id: await uploadSamples(api, calibration),
    evaluation_dataset_id: await uploadSamples(api, evaluation),
  };
  const start = performance.now();
  const seen: { seconds: number; bytes: number | null }[] = [];
  let search = await post<SearchView>(`${api}/searches`, { ...data, promise: PROMISE });
  while (search.finished_at === null) {
    await sleep(LOOK_MS);
    search = (await (await fetch(`${api}/searches/${search.id}`)).json()) as SearchView;
    const within = search.candidates.filter((candidate) => candidate.within);
    const bytes = within.length > 0 ? Math.min(...within.map((one) => one.compressed_bytes)) : null;
    seen.push({ seconds: (performance.now() - start) / 1000, bytes });
  }
  const best = seen.at(-1)?.bytes ?? null;
  const when = (holds: (bytes: number) => boolean) =>
    seen.find(({ bytes }) => bytes !== null && holds(bytes))?.seconds ?? null;
  return {
    network,
    byHand: SEARCHED[network.name] ?? null,
    search,
    seconds: {
      first: when(() => true),
      near: best === null ? null : when((bytes) => bytes <= NEAR * best),
      end: seen.at(-1)?.seconds ?? null,
    },
    aloneSeconds: search.best && (await timeAlone(api, data, search.best.recipe)),
  };
}

/** Its beta is searched anew. */
async function timeAlone(
  api: string,
  data: object,
  recipe: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { beta: _, ...line } = recipe;
  const start = performance.now();
  let job = await post<JobView>(`${api}/jobs`, { ...data, recipe: line });
  while (job.finished_at === null) {
    await sleep(LOOK_MS);
    job = (await (await fetch(`${api}/jobs/${job.id}`)).json()) as JobView;
  }
  if (job.status !== 'succeeded') throw new Error(JSON.stringify(job.error));
  return (performance.now() - start) / 1000;
}

async function uploadSamples(
  api: string,
  { inputs, labels }: { readonly inputs: readonly ArrayFile[]; readonly labels: ArrayFile | null },
): Promise<string> {
  const form = new FormData();
  for (const { path, name } of inputs) form.append('inputs', await openAsBlob(path), `${name}.npy`);
  if (labels) form.append('labels', await openAsBlob(labels.path), 'labels.npy');
  return await upload(`${api}/datasets`, form);
}

async function upload(url: string, body: FormData): Promise<string> {
  return (await answered<{ id: string }>(await fetch(url, { method: 'POST', body }))).id;
}

async function post<T>(url: string, body: object): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  return await answered<T>(await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) }));
}

async function answered<T>(response: Response): Promise<T> {
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}
