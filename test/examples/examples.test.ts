import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cp, glob, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SERVICE, type Server, startServer } from '../../scripts/start-server.ts';
import { writeSmallModel } from '../models/small-safetensors.ts';
import { findPython } from '../services/clients.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EXAMPLES = join(ROOT, 'examples');
const MODEL = 'fc2-mnist.onnx';
const DATA = 'mnist';
const WEIGHTS = 784 * 100 + 100 * 10;
/** What installs, tests or starts everything is run by CI and by other tests. */
const RUN_ELSEWHERE = /^(npm|docker) /;
/**
 * What NumPy finds in float64 on the data of examples/mnist: the dense network, and the sparsest one, of 251 between beta 1.3 and 1.8, whose
 * loss is within 2 % of it.
 */
const ORACLE = { loss: 0.1993079269218485, accuracy: 0.938, sparsity: 0.3527 };
const run = promisify(execFile);

/** Two shards and their index, as the guide has them. */
async function writeCheckpoint(folder: string): Promise<void> {
  await mkdir(folder);
  const weight_map: Record<string, string> = {};
  for (const layer of [0, 1]) {
    const shard = `model-0000${layer + 1}-of-00002.safetensors`;
    const name = `model.layers.${layer}.mlp.up_proj.weight`;
    await using model = await writeSmallModel([
      { name, dtype: 'bfloat16', shape: [8, 16], values: Array.from({ length: 128 }, (_, i) => i - 60) },
    ]);
    await cp(model.path, join(folder, shard));
    weight_map[name] = shard;
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
}

describe('the examples', () => {
  let directory: string;
  let redis: Service;
  let server: Server;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-examples-'));
    for (const name of [MODEL, DATA]) {
      await cp(join(EXAMPLES, name), join(directory, name), { recursive: true });
      await cp(join(EXAMPLES, name), join(directory, 'examples', name), { recursive: true });
    }
    await writeCheckpoint(join(directory, 'checkpoint'));
    await mkdir(join(directory, 'bin'));
    const program = `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/emp.ts')}' "$@"\n`;
    await writeFile(join(directory, 'bin/emp'), program, { mode: 0o755 });
    redis = await startRedis();
    const settings = { DATA_DIR: join(directory, 'data'), WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' };
    server = await startServer(SERVICE, { ...settings, REDIS_URL: redis.url });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await redis?.stop();
    await rm(directory, { recursive: true, maxRetries: 5 });
  });

  const inFolder = () => ({
    cwd: directory,
    env: { ...process.env, BASE_URL: server.baseUrl, PATH: `${join(directory, 'bin')}:${process.env.PATH}` },
  });
  const runExample = async (program: string, name: string, ...args: string[]) =>
    (await run(program, [join(EXAMPLES, name), ...args], inFolder())).stdout;

  test('thresholds.sh', async () => {
    const decision = JSON.parse(await runExample('bash', 'thresholds.sh'));
    // (.9 + .1 + .4 + .05 + .6)^2 / (.81 + .01 + .16 + .0025 + .36)
    assert.ok(Math.abs(decision.n_eff - 2.05 ** 2 / 1.3425) < 1e-9);
    assert.deepEqual(decision.kept_indices, [0, 2, 4]);
  });

  test('thresholds.py', async () => {
    const [, kept, n] = /keep (\d+) of (\d+)/.exec(await runExample(findPython(), 'thresholds.py')) ?? [];
    assert.equal(Number(n), 100_000);
    // Gaussian scores: N_eff / N -> 2 / pi.
    assert.ok(Math.abs(Number(kept) / Number(n) - 2 / Math.PI) < 0.01);
  });

  test('prune.sh and prune.py give the same model', async () => {
    const report = JSON.parse(await runExample('bash', 'prune.sh', MODEL));
    const [dense, first] = await Promise.all([
      readFile(join(EXAMPLES, MODEL)),
      readFile(join(directory, `pruned-${MODEL}`)),
    ]);
    const summary = JSON.parse(await runExample(findPython(), 'prune.py', MODEL));
    const second = await readFile(join(directory, `pruned-${MODEL}`));
    assert.equal(report.total.n, WEIGHTS);
    assert.ok(report.total.n_keep > 0 && report.total.n_keep < WEIGHTS);
    assert.equal(summary.n_keep, report.total.n_keep);
    assert.ok(first.equals(second));
    assert.equal(first.byteLength, dense.byteLength);
    assert.ok(!first.equals(dense));
  });

  test('with keys they send EMP_API_KEY; without it they say what is missing, and leave nothing', async () => {
    const { cwd, env } = inFolder();
    const added = await run('emp', ['keys', 'add', 'me', '--file', 'keys.json'], { cwd, env });
    const settings = { DATA_DIR: join(directory, 'keyed'), REDIS_URL: `${redis.url}/1` };
    await using keyed = await startServer(SERVICE, {
      ...settings,
      API_KEYS_FILE: join(directory, 'keys.json'),
    });
    const here = { cwd: await mkdtemp(join(directory, 'here-')), env: { ...env, BASE_URL: keyed.baseUrl } };
    for (const name of ['prune.sh', 'prune.py']) {
      const asked = [
        name.endsWith('.sh') ? 'bash' : findPython(),
        [join(EXAMPLES, name), join(EXAMPLES, MODEL)],
      ] as const;
      await assert.rejects(run(...asked, here), { stderr: /this needs a key or a token/ });
      assert.deepEqual(await readdir(here.cwd), []);
      await run(...asked, { ...here, env: { ...here.env, EMP_API_KEY: added.stdout.trim() } });
      assert.deepEqual(await readdir(here.cwd), [`pruned-${MODEL}`]);
      await rm(join(here.cwd, `pruned-${MODEL}`));
    }
  });

  test('evaluate.sh and evaluate.py find a model within the target', async () => {
    const { total, evaluation, verdict } = JSON.parse(await runExample('bash', 'evaluate.sh', MODEL, DATA));
    const page = await readFile(join(directory, 'report.html'), 'utf8');
    assert.match(page, /^<!doctype html>/i);
    await rm(join(directory, 'report.html'));
    const { search } = evaluation;
    assert.deepEqual([evaluation.n_samples, search.n_samples], [250, 250]);
    const both = (metric: 'loss' | 'accuracy') => (evaluation.dense[metric] + search.dense[metric]) / 2;
    assert.ok(Math.abs(both('loss') / ORACLE.loss - 1) < 1e-5);
    assert.ok(Math.abs(both('accuracy') - ORACLE.accuracy) < 1e-12);
    assert.ok(search.found);
    assert.equal(search.met, evaluation.pruned.loss <= 1.02 * evaluation.dense.loss);
    assert.ok(total.sparsity > 0 && total.sparsity <= ORACLE.sparsity + 0.02);

    const lines = (await runExample(findPython(), 'evaluate.py', MODEL, DATA)).trimEnd().split('\n');
    assert.equal(lines.pop(), verdict.text);
    assert.equal(lines.length, evaluation.search.evaluations.length);
    assert.match(await readFile(join(directory, 'report.html'), 'utf8'), /^<!doctype html>/i);
  });

  test('search.sh gives the best model within the promise', async () => {
    const search = JSON.parse(await runExample('bash', 'search.sh', MODEL, DATA));
    const { best, candidates } = search;
    assert.deepEqual([search.status, search.progress.percent], ['succeeded', 100]);
    assert.ok(
      candidates.some(({ recipe }: { recipe: { beta: number } }) => recipe.beta === best.recipe.beta),
    );
    const { byteLength } = await readFile(join(directory, `pruned-${MODEL}`));
    assert.equal(byteLength, best.job.summary.pruned_bytes);
    assert.ok(best.job.summary.pruned_zstd_bytes < 0.7 * best.job.summary.dense_zstd_bytes);
  });

  test('structures.sh gives a smaller model within the target', async () => {
    const { structures, evaluation, sizes } = JSON.parse(
      await runExample('bash', 'structures.sh', MODEL, DATA),
    );
    const [{ n, n_keep }] = structures.families;
    assert.ok(n === 100 && n_keep % 8 === 0 && n_keep <= 80, `${n_keep}`);
    assert.ok(evaluation.search.found);
    assert.equal(evaluation.search.met, evaluation.pruned.loss <= 1.1 * evaluation.dense.loss);
    const { byteLength } = await readFile(join(directory, `pruned-${MODEL}`));
    assert.equal(byteLength, sizes.pruned_bytes);
    assert.ok(byteLength < sizes.dense_bytes);
  });

  test('receive_webhooks.py takes what the service has signed, once, and nothing else', async (t) => {
    const call = async (path: string, body?: FormData) =>
      (await (await fetch(server.baseUrl + path, { method: 'POST', ...(body && { body }) })).json()) as {
        id: string;
        secret: string;
      };
    const { id: secretId, secret } = await call('/v1/webhook-secrets');
    const receiver = spawn(findPython(), [join(EXAMPLES, 'receive_webhooks.py')], {
      env: { ...process.env, PORT: '0', WEBHOOK_SECRETS: secret },
      stdio: ['ignore', 'pipe', 'ignore'],
      signal: t.signal,
    });
    receiver.on('error', () => {});
    const lines = createInterface(receiver.stdout)[Symbol.asyncIterator]();
    const [, port] = /^listening on (\d+)$/.exec((await lines.next()).value ?? '') ?? [];
    const url = `http://127.0.0.1:${port}/`;
    assert.equal((await fetch(url, { method: 'POST', body: '{}' })).status, 401);
    const form = new FormData();
    form.append('model', new Blob([await readFile(join(EXAMPLES, MODEL))]), MODEL);
    form.append('webhook', JSON.stringify({ url }));
    const { id } = await call('/v1/jobs', form);
    assert.equal((await lines.next()).value, `job.succeeded /v1/jobs/${id}`);
    receiver.kill();
    await fetch(`${server.baseUrl}/v1/webhook-secrets/${secretId}`, { method: 'DELETE' });
  });

  test('the code of README and guide is the examples’ own, or runs as it stands', async () => {
    const names = (await readdir(EXAMPLES)).filter((name) => /\.(sh|py)$/.test(name));
    const examples = new Map<string, string>();
    for (const name of names) examples.set(await readFile(join(EXAMPLES, name), 'utf8'), name);
    const documents = ['README.md', ...(await Array.fromAsync(glob('docs/guide/*.md', { cwd: ROOT })))];
    for (const document of documents) {
      const text = await readFile(join(ROOT, document), 'utf8');
      for (const [, language, code = ''] of text.matchAll(/^```(sh|python)\n(.*?)^```/gms)) {
        if (
          examples.delete(code) ||
          code.split('\n').every((line) => line === '' || RUN_ELSEWHERE.test(line))
        )
          continue;
        assert.equal(language, 'sh', `${document}: ${code}`);
        await run('bash', ['-euo', 'pipefail', '-c', code], inFolder());
      }
    }
    assert.deepEqual([...examples.values()], [], 'no document shows these');
  });
});
