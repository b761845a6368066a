import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createZip } from '../formats/archive-bytes.ts';
import { readJson } from '../http/test-app.ts';
import { openTestService } from '../http/test-service.ts';
import { type EmpHere, openEmpHere } from './emp-here.ts';
import { CALIBRATION, EXAMPLE, ended, INPUTS, LABELS, MODEL, openPlace, type Place } from './run-emp.ts';

/** A shell reads it as several words unless it is quoted. */
const FOLDER = "it's found";
const PROMISE = ['--max-loss-increase', '0.3', '--max-candidates', '8', '--calibration', CALIBRATION];

describe('emp find', () => {
  const emp = openEmpHere();

  test('writes a model that keeps its promise, and says so, and as a server does', async (t) => {
    const place = await openPlace(t);
    const summary = join(place.path, 'summary.md');
    await writeFile(summary, 'A step before.\n');
    const { code, stdout, stderr } = await place.emp(
      ...['find', ...EXAMPLE, ...PROMISE, '--output', FOLDER, '--summary', summary],
    );
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split('\n');
    const again = lines.pop() ?? '';
    assert.deepEqual(
      lines.map((line) => line.split(' ')[0]),
      ['smaller', 'cost', 'promise', 'files', 'next'],
    );
    assert.match(
      stdout,
      /^promise +kept, by estimate alone: loss [\d.]+ ± [\d.]+ % higher, 30 % allowed; on 250 samples/m,
    );
    assert.match(stderr, /trying recipes\n[\s\S]*writing the best/);
    assert.deepEqual((await readdir(join(place.path, FOLDER))).sort(), [
      ...['fc2-mnist.onnx', 'job.json', 'masks.safetensors'],
      ...['report.html', 'report.json', 'report.md', 'search.json'],
    ]);
    assert.match(await readFile(summary, 'utf8'), /^A step before\.\n# Search sea_/);
    assert.deepEqual(await readdir(place.temporary), []);
    await assertServerGivesSame(t, place, emp);

    const verified = await ended(place.start(['-c', again], { program: ['sh'] }));
    assert.equal(verified.code, 0, verified.stderr);
    assert.match(verified.stdout, /made from the recipe the same bytes/);
    assert.match(verified.stdout, /^files +as it was written: fc2-mnist\.onnx, /m);
    assert.match(verified.stdout, /^unchecked +no hash in job\.json: job\.json, search\.json$/m);
    await writeFile(join(place.path, FOLDER, 'masks.safetensors'), 'other');
    const changed = await emp(place, 'verify', FOLDER);
    assert.equal(changed.code, 3);
    assert.match(changed.stdout, /^changed +.*: masks\.safetensors$/m);
    const without = await emp(place, 'verify', FOLDER, MODEL);
    assert.equal(without.code, 2);
    assert.match(without.stderr, /give .*: --data FILE --labels FILE --calibration FILE;/);
  });

  test('ends with 3 where nothing keeps the promise, tells the closest miss, and leaves nothing', async (t) => {
    const place = await openPlace(t);
    const { code, stdout } = await emp(
      place,
      ...['find', MODEL, '--data', INPUTS, '--max-relative-l2', '0', '--allow-granularities', 'weight'],
      ...['--max-candidates', '4'],
    );
    assert.equal(code, 3);
    assert.match(stdout, /^promise +not kept: none of 4 models/);
    const [, beta, distance, error] =
      /^closest +magnitude of each weight at beta (\S+): .* gone, .* relative distance (\S+) ± (\S+)$/m.exec(
        stdout,
      ) ?? [];
    assert.ok(Number(beta) > 1 && Number(error) > 0, stdout);
    // A limit that it would have kept: what a search asks for is one standard error more than the distance.
    const [, limit] = /^next .* --max-relative-l2 (\S+) for that one/m.exec(stdout) ?? [];
    assert.ok(Number(limit) >= Number(distance) + Number(error) / 2, stdout);
    assert.ok(Number(limit) < 1.2 * Number(distance), stdout);
    assert.deepEqual(await place.files(), []);
  });
});

describe('bad input', () => {
  const emp = openEmpHere();
  const cases: Record<string, { args: string[]; said: RegExp }> = {
    'no promise': {
      args: ['find', ...EXAMPLE],
      said: /^emp: say what the model may cost: give one of --max-loss-increase, /,
    },
    'no labels': {
      args: ['find', MODEL, '--data', INPUTS, '--max-accuracy-drop', '0.1'],
      said: /^emp: .* needs evaluation data with labels: give --labels\n$/,
    },
    'a recipe without its data': {
      args: ['prune', MODEL, '--criterion', 'wanda'],
      said: /^emp: criterion wanda needs calibration data: give --calibration\n$/,
    },
    'files that the model has no use for': {
      args: ['inspect', MODEL, INPUTS, LABELS],
      said: /^emp: .*\n {2}evaluation_inputs\.npy, evaluation_labels\.npy: [^,]*\n$/,
    },
    'a promise out of range': {
      args: ['find', ...EXAMPLE, '--max-accuracy-drop', '2'],
      said: /^emp: --max-accuracy-drop must be less than 1/,
    },
    'two promises': {
      args: ['find', ...EXAMPLE, '--max-accuracy-drop', '0.1', '--max-kl', '1'],
      said: /give one of --max-loss-increase/,
    },
    'no file': { args: ['find', 'nope.onnx', '--max-kl', '1'], said: /^emp: there is no file nope\.onnx\n$/ },
    'no model': { args: ['inspect', LABELS], said: /^emp: .*evaluation_labels\.npy/ },
    'an unknown flag': {
      args: ['prune', MODEL, '--bets', '1'],
      said: /unknown option '--bets'\n\(Did you mean --beta\?\)/,
    },
    'what is no number': {
      args: ['prune', MODEL, '--beta', 'x'],
      said: /'--beta <number>' argument 'x' is invalid/,
    },
    'no verb': { args: ['purge'], said: /unknown command 'purge'/ },
    'an address that is none': {
      args: ['inspect', MODEL, '--server', 'localhost:3000'],
      said: /^emp: --server localhost:3000 must be a URL/,
    },
  };
  for (const [what, { args, said }] of Object.entries(cases))
    test(`ends with 2 and its reason: ${what}`, async (t) => {
      const place = await openPlace(t);
      const { code, stdout, stderr } = await emp(place, ...args);
      assert.equal(code, 2);
      assert.match(stderr, said);
      assert.doesNotMatch(stderr, /\n {4}at /);
      assert.equal(stdout, '');
      assert.deepEqual(await place.files(), []);
    });

  for (const what of ['a recipe without its data', 'an unknown flag'])
    test(`is what the process ends with, and says: ${what}`, async (t) => {
      const place = await openPlace(t);
      const { args } = cases[what];
      assert.deepEqual(await place.emp(...args), await emp(place, ...args));
      assert.deepEqual(await place.files(), []);
    });

  test('help ends with 0 and tells the exit codes', async (t) => {
    const place = await openPlace(t);
    const helps = [await place.emp('--help'), await emp(place, 'find', '--help')];
    for (const { code, stdout } of helps) {
      assert.equal(code, 0);
      assert.match(stdout, /Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 /);
    }
  });
});

/** The bytes of the folder, by a server, and of data in a `.npz`. */
async function assertServerGivesSame(t: TestContext, place: Place, emp: EmpHere): Promise<void> {
  const service = await openTestService({ worker: true });
  t.after(() => service.close());
  const npz = createZip([
    { name: 'pixels.npy', content: await readFile(INPUTS) },
    { name: 'labels.npy', content: await readFile(LABELS) },
  ]);
  await writeFile(join(place.path, 'test.npz'), npz);
  const there = await emp(
    place,
    ...['find', MODEL, '--data', 'test.npz', ...PROMISE, '--output', 'there'],
    ...['--server', `${service.url}/`, '--json'],
  );
  assert.equal(there.code, 0, there.stderr);
  for (const name of ['fc2-mnist.onnx', 'masks.safetensors']) {
    const [one, other] = await Promise.all(
      [FOLDER, 'there'].map((folder) => readFile(join(place.path, folder, name))),
    );
    assert.ok(one.equals(other), `${name} differs`);
  }
  const told = JSON.parse(there.stdout);
  const asked = await readJson(await fetch(`${service.url}/v1/searches/${told.id}`));
  assert.deepEqual(told, asked);
  const known = JSON.parse(await readFile(join(place.path, FOLDER, 'search.json'), 'utf8'));
  const betas = (search: { candidates: { recipe: { beta: number } }[] }) =>
    search.candidates.map(({ recipe }) => recipe.beta);
  assert.deepEqual(betas(known), betas(asked));
}
