import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createNewFolder } from '../../scripts/output-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DEMO = join(ROOT, 'scripts/demo.ts');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function runDemo(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [DEMO, ...args], { cwd: ROOT }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

async function createFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'emp-demo-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe('the demo', () => {
  test('says how it is used, and starts nothing', async () => {
    const { code, stdout, stderr } = await runDemo('--help');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^Usage: npm run demo/);
    assert.doesNotMatch(stdout, /starting the service/);
  });

  test('refuses an option that it does not have', async () => {
    const { code, stdout, stderr } = await runDemo('--ouput', 'there');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^demo: .*--ouput/);
  });

  for (const [path, said] of [
    ['nope.onnx', 'there is no file nope.onnx'],
    ['scripts', 'scripts is not a file: name the files of the model'],
    ['README.md', 'README.md: none is an .onnx or .safetensors file, or a .tar or .zip of a model'],
    ['README.md/model.onnx', 'cannot read ENOTDIR: not a directory'],
  ] as const)
    test(`refuses ${path} before it starts anything`, async () => {
      const { code, stdout, stderr } = await runDemo(path);
      assert.deepEqual([code, stdout], [1, '']);
      assert.ok(stderr.startsWith(`demo: ${said}`), stderr);
    });

  test('writes over nothing in the folder that it is given', async () => {
    await using folder = await createFolder();
    await writeFile(join(folder.path, 'report.html'), 'mine');
    const { code, stdout, stderr } = await runDemo('--output', folder.path);
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(
      stderr,
      `demo: ${folder.path} is not empty: name another folder, or remove what lies in this one\n`,
    );
  });

  test('finds a new folder for every run, also of two at the same time', async () => {
    await using folder = await createFolder();
    const path = join(folder.path, 'demo-output', 'fc2-mnist');
    assert.equal(await createNewFolder(path), path);
    assert.equal(await createNewFolder(path), `${path}-2`);
    const together = await Promise.all([createNewFolder(path), createNewFolder(path)]);
    assert.deepEqual(together.sort(), [`${path}-3`, `${path}-4`]);
    assert.equal((await readdir(join(folder.path, 'demo-output'))).length, 4);
  });
});
