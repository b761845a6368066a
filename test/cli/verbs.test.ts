import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readBaseUrl } from '../../scripts/start-server.ts';
import { createFloatNpy } from '../formats/npy-bytes.ts';
import { startRedis } from '../services/redis.ts';
import { type EmpHere, openEmpHere } from './emp-here.ts';
import { CALIBRATION, EXAMPLE, ended, MODEL, openPlace, type Place } from './run-emp.ts';

describe('emp prune', () => {
  const emp = openEmpHere();

  for (const [what, flags, unit] of [
    ['weights', ['--scope', 'layer', '--beta', '0.5'], 'weight'],
    [
      'channels',
      ['--granularity', 'channel', '--criterion', 'variance', '--calibration', CALIBRATION],
      'channel',
    ],
  ] as const)
    test(`writes what emp apply makes of its masks, and emp compare and a recipe take: ${what}`, async (t) => {
      const place = await openPlace(t);
      const asked = ['prune', MODEL, ...flags, '--output', 'pruned'];
      const pruned = unit === 'weight' ? await place.emp(...asked) : await emp(place, ...asked);
      assert.equal(pruned.code, 0, pruned.stderr);
      assert.match(pruned.stdout, new RegExp(`% of [\\d,]+ ${unit}s are gone`));
      const applied = await emp(
        place,
        ...['apply', 'pruned/masks.safetensors', MODEL, '--granularity', unit, '--output', 'applied'],
      );
      assert.equal(applied.code, 0, applied.stderr);
      const [one, other] = await Promise.all(
        ['pruned', 'applied'].map((folder) => readFile(join(place.path, folder, 'fc2-mnist.onnx'))),
      );
      assert.ok(one.equals(other));
      assert.ok(!one.equals(await readFile(MODEL)));
      if (unit !== 'weight') return;
      await assertRecipeIsTaken(emp, place);
      await assertCompared(emp, place);
    });

  test('ends with 3 where a dead model keeps what was promised, and says what the report decides', async (t) => {
    const place = await openPlace(t);
    const dead = ['prune', ...EXAMPLE, '--beta', '0.001', '--scope', 'global'];
    for (const [promise, ends] of [
      [['--max-accuracy-drop', '0.95'], 3],
      [[], 0],
    ] as const) {
      const { code, stdout, stderr } = await emp(place, ...dead, ...promise, '--output', `out${ends}`);
      assert.equal(code, ends, stderr);
      if (ends === 3) assert.match(stdout, /^promise +kept: an accuracy drop of 95 points/m);
      const { decision } = JSON.parse(await readFile(join(place.path, `out${ends}/report.json`), 'utf8'));
      assert.equal(decision.status, 'unsafe');
      assert.ok(stdout.includes(`\ndecision  ${decision.sentence}\n`), stdout);
    }
  });

  test('refuses masks of another model', async (t) => {
    const place = await openPlace(t);
    await writeFile(join(place.path, 'masks.safetensors'), 'no masks');
    const { code, stderr } = await emp(place, 'apply', 'masks.safetensors', MODEL, '--output', 'applied');
    assert.equal(code, 2);
    assert.match(stderr, /^emp: masks\.safetensors: /);
    assert.deepEqual(await place.files(), ['masks.safetensors']);
  });
});

describe('emp inspect', () => {
  const emp = openEmpHere();

  test('shows tensors, structures, and what is frozen and why', async (t) => {
    const place = await openPlace(t);
    const { code, stdout } = await emp(place, 'inspect', MODEL);
    assert.equal(code, 0);
    for (const row of [
      /1\.weight +100 x 784 +float32/,
      /channel +100 +1\.weight +3\.weight/,
      /^ +frozen +axis +cannot shrink, because this axis \.\.\.$/m,
      /1\.weight +1 +is tied to an axis that cannot shrink \(Gemm /,
      /3\.weight +0 +is an axis of an output of the model \(logits\)$/m,
    ])
      assert.match(stdout, row);
    const json = JSON.parse((await emp(place, 'inspect', MODEL, '--json')).stdout);
    assert.deepEqual([json.tensors.length, json.structures.families.length], [4, 1]);
  });

  test('asks a server, with the key of the environment; what it refuses is told', async (t) => {
    const place = await openPlace(t);
    const keys: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      keys.push(request.headers.authorization);
      request
        .resume()
        .on('end', () => response.writeHead(401).end(JSON.stringify({ detail: 'who are you?' })));
    }).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const child = place.start(['inspect', MODEL, '--server', url], { env: { EMP_API_KEY: 'secret' } });
    const { code, stderr } = await ended(child);
    assert.deepEqual(
      [code, stderr, new Set(keys)],
      [2, 'emp: who are you? (emp sends the one in EMP_API_KEY)\n', new Set(['Bearer secret'])],
    );
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    const gone = await emp(place, 'inspect', MODEL, '--server', url);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /does not answer: .*ECONNREFUSED/);
  });
});

test('a server that asks to come again later is asked again then', async (t) => {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      asked++;
      if (asked === 2) response.writeHead(429, { 'retry-after': '1' }).end('{"detail":"too often"}');
      else response.writeHead(asked === 1 ? 200 : 401).end('{"status":"ok","detail":"no more"}');
    });
  }).listen(0, '127.0.0.1');
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const place = await openPlace(t);
  const began = performance.now();
  const { code, stderr } = await place.emp('inspect', MODEL, '--server', url);
  assert.deepEqual([code, stderr, asked], [2, 'emp: no more (emp sends the one in EMP_API_KEY)\n', 3]);
  assert.ok(performance.now() - began > 1000);
});

describe('emp threshold', () => {
  const emp = openEmpHere();

  test('decides on a vector', async (t) => {
    const place = await openPlace(t);
    await writeFile(join(place.path, 'scores.npy'), createFloatNpy([3, -1, 0, 0]));
    const { code, stdout } = await place.emp(
      'threshold',
      'scores.npy',
      '--json',
      '--include',
      'kept_indices',
    );
    assert.equal(code, 0);
    const { n, n_eff, n_keep, kept_indices } = JSON.parse(stdout);
    // (3 + 1)^2 / (9 + 1)
    assert.deepEqual([n, n_eff, n_keep, kept_indices], [4, 1.6, 1, [0]]);
    assert.match(
      (await emp(place, 'threshold', 'scores.npy', '--beta', '2')).stdout,
      /^keep +3, so 25\.0 % go$/m,
    );
    assert.match(
      (await emp(place, 'threshold', 'scores.npy', '--include', 'keep_mask')).stderr,
      /^emp: --include says what --json gives/,
    );
  });

  test('decides on each row of an array, in lines for people', async (t) => {
    const place = await openPlace(t);
    await writeFile(join(place.path, 'rows.npy'), createFloatNpy([3, -1, 0, 0, 1, 1, 1, 1], '(2, 4)'));
    const { stdout } = await emp(place, 'threshold', 'rows.npy', '--scope', 'row');
    const rows = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(rows.slice(0, 3), [
      ['row', 'scores', 'N_eff', 'keep', 'go', 'threshold', 'mass'],
      ['0', '4', '1.6', '1', '75.0 %', '3', '75.0 %'],
      ['1', '4', '4', '4', '0.0 %', '1', '100.0 %'],
    ]);
    const { code, stderr } = await emp(place, 'threshold', 'rows.npy');
    assert.equal(code, 2);
    assert.match(stderr, /^emp: rows\.npy: --scope must be row for an array of 2 axes/);
  });
});

describe('emp serve', () => {
  test('serves until it is told to end, and ends in order', async (t) => {
    const place = await openPlace(t);
    const redis = await startRedis();
    t.after(() => redis.stop());
    const settings = { PORT: '0', HOST: '127.0.0.1', DATA_DIR: place.path, LOG_LEVEL: 'warn' };
    const env = { ...settings, REDIS_URL: redis.url };
    const child = place.start(['serve'], { env });
    const url = await readBaseUrl(child);
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    const end = once(child, 'exit');
    child.kill('SIGTERM');
    assert.deepEqual(await end, [0, null]);
  });

  test('says what a role needs', async (t) => {
    const place = await openPlace(t);
    const { code, stderr } = await place.emp('worker');
    assert.equal(code, 1);
    assert.match(stderr, /^cannot start: role worker needs REDIS_URL or DATABASE_URL/);
  });
});

/** Of the job in `pruned`, whose recipe gives way to flags; a target that is missed is 3. */
async function assertRecipeIsTaken(emp: EmpHere, place: Place): Promise<void> {
  const { code, stdout } = await emp(
    place,
    ...['prune', ...EXAMPLE, '--recipe', 'pruned/job.json', '--beta', '0.1', '--max-accuracy-drop', '0.001'],
    '--json',
  );
  assert.equal(code, 3);
  const { recipe } = JSON.parse(stdout);
  assert.deepEqual([recipe.scope, recipe.beta], ['layer', 0.1]);
}

/** Holds the model in `pruned` against its original, with data, by folders and by results. */
async function assertCompared(emp: EmpHere, place: Place): Promise<void> {
  const report = JSON.parse(await readFile(join(place.path, 'pruned/report.json'), 'utf8'));
  await mkdir(join(place.path, 'folder'));
  await copyFile(join(place.path, 'pruned/fc2-mnist.onnx'), join(place.path, 'folder/fc2-mnist.onnx'));
  const { code, stdout, stderr } = await emp(place, 'compare', MODEL, 'folder', ...EXAMPLE.slice(1));
  assert.equal(code, 0, stderr);
  for (const { name, n, n_keep } of report.tensors)
    assert.match(
      stdout,
      new RegExp(`${name} +masked +${n.toLocaleString('en')} +${n_keep.toLocaleString('en')} .* 100\\.0 %`),
    );
  // The folder of a result holds more than a model.
  const measured = await emp(place, 'compare', MODEL, 'pruned', ...EXAMPLE.slice(1), '--json');
  assert.equal(measured.code, 0, measured.stderr);
  const { total, evaluation } = JSON.parse(measured.stdout);
  assert.equal(total.n_keep, report.total.n_keep);
  assert.deepEqual([evaluation.n_samples, evaluation.better.layer.difference], [500, 0]);
  const [before, after] = [evaluation.original, evaluation.pruned].map(
    (figures) => `${(100 * figures.accuracy).toFixed(2)} %`,
  );
  assert.match(stdout, new RegExp(`^cost +accuracy ${before} to ${after} \\(.* ± .*\\), loss .* ± `, 'm'));
  const same = await emp(place, 'compare', MODEL, MODEL);
  assert.equal(same.code, 2);
}

describe('emp verify', () => {
  const emp = openEmpHere();

  test('takes no file for a job that is none, nor one that names what lies outside of its folder', async (t) => {
    const place = await openPlace(t);
    const path = join(place.path, 'job.json');
    const job = (name: string) => JSON.stringify({ recipe: {}, artifacts: [{ name, sha256: '' }] });
    for (const text of ['{', '{}', 'null', '[]', job('../job.json'), job('a/../../x'), job('/etc/passwd')]) {
      await writeFile(path, text);
      const { code, stdout, stderr } = await emp(place, 'verify', '.');
      assert.deepEqual([code, stdout], [2, ''], text);
      assert.match(stderr, /^emp: job\.json is no job: [^\n]+\n$/);
    }
  });
});
