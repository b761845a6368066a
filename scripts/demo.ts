/** The whole way of one job, seen from a client. The network of the examples comes with data, so that it is also measured. */
import { createWriteStream, openAsBlob } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Report } from '../src/report/report.ts';
import { createNewFolder, refuseFullFolder } from './output-folder.ts';
import { SERVICE, startServer } from './start-server.ts';

const USAGE = `Usage: npm run demo [-- [--output FOLDER] MODEL...]

Starts the service on the embedded queue, uploads a model, prunes it with the
default recipe, shows the report and keeps what came out.

  MODEL            an ONNX or safetensors file; several files are one model with
                   external data or shards. Without one the network of the
                   examples is taken, with digits to measure it on.
  --output FOLDER  where to write, a new or an empty folder. Without it a new
                   one under demo-output/ is made at every run.
  --help           prints this.
`;

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const DEFAULT_MODEL = join(ROOT, 'examples/fc2-mnist.onnx');
const DEFAULT_DATA = {
  inputs: join(ROOT, 'examples/mnist/evaluation_inputs.npy'),
  labels: join(ROOT, 'examples/mnist/evaluation_labels.npy'),
};
/** Not `data`: a service of the user's own may be running on it. */
const DATA_DIRECTORY = join(ROOT, 'data/demo');
const SHOWN_TENSORS = 40;
const BAR_WIDTH = 30;

interface Job {
  readonly id: string;
  readonly status: string;
  readonly error: { readonly detail: string } | null;
  readonly artifacts: readonly { readonly name: string; readonly url: string }[];
}

interface Problem {
  readonly detail: string;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
}

interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** Calls the API; a problem becomes an error with its detail. */
async function call(url: URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  const findings = (problem.errors ?? []).map(({ path, message }) => `\n  ${path}: ${message}`);
  throw new Error(`${problem.detail ?? `${response.status} from ${url.pathname}`}${findings.join('')}`);
}

async function callJson<T>(url: URL, init?: RequestInit): Promise<T> {
  return (await call(url, init)).json() as Promise<T>;
}

async function uploadModel(baseUrl: string, paths: readonly string[]): Promise<{ id: string }> {
  const form = new FormData();
  // A blob of a file is read as it is sent, never held.
  for (const path of paths) form.append('file', await openAsBlob(path), basename(path));
  return callJson(new URL('/v1/models', baseUrl), { method: 'POST', body: form });
}

async function uploadData(baseUrl: string, parts: Readonly<Record<string, string>>): Promise<{ id: string }> {
  const form = new FormData();
  for (const [part, path] of Object.entries(parts)) form.append(part, await openAsBlob(path), basename(path));
  return callJson(new URL('/v1/datasets', baseUrl), { method: 'POST', body: form });
}

async function createJob(baseUrl: string, request: object): Promise<Job> {
  return callJson(new URL('/v1/jobs', baseUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
}

/** Server-sent events: blocks of `field: value` lines, divided by empty lines. */
async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  let event = 'message';
  let data: string[] = [];
  for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') };
      event = 'message';
      data = [];
    } else if (line.startsWith('event:')) event = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).trim());
  }
}

/** Draws one line over and over on a terminal; elsewhere prints a line per stage and quarter. */
function createProgress(): { show(stage: string, percent: number): void; end(): void } {
  let last = '';
  const show = (stage: string, percent: number) => {
    const filled = Math.round((percent / 100) * BAR_WIDTH);
    const line = process.stdout.isTTY
      ? `\r  ${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${percent.toFixed(0).padStart(3)} %  ${stage.padEnd(12)}`
      : `  ${(Math.floor(percent / 25) * 25).toString().padStart(3)} %  ${stage}\n`;
    if (line !== last) process.stdout.write(line);
    last = line;
  };
  const end = () => {
    if (process.stdout.isTTY) process.stdout.write('\n');
  };
  return { show, end };
}

async function followJob(baseUrl: string, id: string): Promise<Job> {
  const progress = createProgress();
  const events = await call(new URL(`/v1/jobs/${id}/events`, baseUrl));
  for await (const { event, data } of readEvents(events)) {
    if (event === 'succeeded') progress.show('done', 100);
    if (event !== 'progress') break;
    const { stage, percent } = JSON.parse(data);
    progress.show(stage, percent);
  }
  progress.end();
  const job = await callJson<Job>(new URL(`/v1/jobs/${id}`, baseUrl));
  if (job.status !== 'succeeded') throw new Error(`job ${job.status}: ${job.error?.detail ?? ''}`);
  return job;
}

async function download(baseUrl: string, job: Job, directory: string): Promise<string[]> {
  const paths: string[] = [];
  for (const { name, url } of job.artifacts) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    const { body } = await call(new URL(url, baseUrl));
    if (body) await pipeline(Readable.fromWeb(body), createWriteStream(path));
    paths.push(path);
  }
  return paths;
}

const count = (n: number | null) => (n === null ? '' : Math.round(n).toLocaleString('en-US'));
const share = (x: number) => `${(100 * x).toFixed(2)} %`;

/** Tensor, N, N_eff, kept and sparsity in columns; the total last. */
function formatTable({ tensors, total }: Report): string {
  const row = (name: string, r: { n: number; n_eff: number | null; n_keep: number; sparsity: number }) => [
    name,
    count(r.n),
    count(r.n_eff),
    count(r.n_keep),
    share(r.sparsity),
  ];
  const rows = tensors.slice(0, SHOWN_TENSORS).map((tensor) => row(tensor.name, tensor));
  if (tensors.length > SHOWN_TENSORS)
    rows.push([`... ${tensors.length - SHOWN_TENSORS} more`, '', '', '', '']);
  const table = [['tensor', 'N', 'N_eff', 'kept', 'sparsity'], ...rows, row('total', total)];
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...table.map((cells) => cells[column]?.length ?? 0)),
  );
  const pad = (cell: string, i: number) =>
    i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
  return table.map((cells) => `  ${cells.map(pad).join('  ')}`).join('\n');
}

/** Before anything starts. @throws Error for what is no file, and files none of which is a model */
async function refuseNoModel(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
    if (found instanceof Error)
      throw new Error(found.code === 'ENOENT' ? `there is no file ${path}` : `cannot read ${found.message}`);
    if (!found.isFile()) throw new Error(`${path} is not a file: name the files of the model`);
  }
  if (!paths.some((path) => /\.(onnx|safetensors)$|\.(tar|zip)$/i.test(path)))
    throw new Error(
      `${paths.join(', ')}: none is an .onnx or .safetensors file, or a .tar or .zip of a model`,
    );
}

async function main(args: string[]): Promise<void> {
  const { values, positionals: paths } = parseArgs({
    args,
    allowPositionals: true,
    options: { output: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return console.log(USAGE);
  if (values.output !== undefined) await refuseFullFolder(values.output);
  const files = paths.length > 0 ? paths : [DEFAULT_MODEL];
  const name = basename(files[0] ?? '');
  await refuseNoModel(files);
  console.log('starting the service (its first start sets up the embedded queue)');
  await using service = await startServer(SERVICE, { DATA_DIR: DATA_DIRECTORY });
  console.log(`uploading ${name} to ${service.baseUrl}`);
  const model = await uploadModel(service.baseUrl, files);
  const data = paths.length > 0 ? null : await uploadData(service.baseUrl, DEFAULT_DATA);
  const { id } = await createJob(service.baseUrl, {
    model_id: model.id,
    evaluation_dataset_id: data?.id ?? null,
  });
  console.log(`pruning (${id})`);
  const job = await followJob(service.baseUrl, id);
  const report = await callJson<Report>(new URL(`/v1/jobs/${id}/report`, service.baseUrl), {
    headers: { accept: 'application/json' },
  });
  console.log(`\n${formatTable(report)}\n\n${report.verdict.text}\n`);
  for (const warning of report.verdict.warnings) console.log(`note: ${warning.text}`);
  const directory =
    values.output ?? (await createNewFolder(join(ROOT, 'demo-output', basename(name, extname(name)))));
  for (const path of await download(service.baseUrl, job, directory))
    console.log(`wrote ${relative(process.cwd(), path)}`);
  console.log(
    `\nreport.html shows it in pictures. The job stays in data/demo: "DATA_DIR=data/demo npm start" serves it again at /v1/jobs/${id}`,
  );
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
