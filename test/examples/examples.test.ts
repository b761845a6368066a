import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SERVICE, type Server, startServer } from '../../scripts/start-server.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const MODEL = 'fc2-mnist.onnx';
const WEIGHTS = 784 * 100 + 100 * 10;
const run = promisify(execFile);

/** The first Python that has `requests`; the services' installer makes sure that there is one. */
function findPython(): string {
  const found = ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-c', 'import requests']).status === 0,
  );
  assert.ok(found, 'no python3 with requests: run scripts/install-test-services.sh');
  return found;
}

describe('the examples', () => {
  let directory: string;
  let server: Server;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-examples-'));
    await cp(join(EXAMPLES, MODEL), join(directory, MODEL));
    server = await startServer(SERVICE, { DATA_DIR: join(directory, 'data') });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  const runExample = async (program: string, name: string, ...args: string[]) => {
    const options = { cwd: directory, env: { ...process.env, BASE_URL: server.baseUrl } };
    return (await run(program, [join(EXAMPLES, name), ...args], options)).stdout;
  };

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
});

test("the README's code is the examples' own", async () => {
  const readme = await readFile(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
  for (const name of ['thresholds.sh', 'thresholds.py', 'prune.sh', 'prune.py']) {
    const language = name.endsWith('.py') ? 'python' : 'sh';
    const code = await readFile(join(EXAMPLES, name), 'utf8');
    assert.ok(readme.includes(`\`\`\`${language}\n${code}\`\`\``), `${name} is not in the README as it is`);
  }
});
