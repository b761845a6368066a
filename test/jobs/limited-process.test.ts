import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ProcessLimits, runLimited } from '../../src/jobs/limited-process.ts';

const LIMITS: ProcessLimits = {
  timeMs: 20_000,
  heapMebibytes: 64,
  memoryMebibytes: 1024,
  outputBytes: 100_000,
};
const NEVER = new AbortController().signal;
let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-limited-'));
});
after(() => rm(directory, { recursive: true }));

async function run(code: string, limits: Partial<ProcessLimits> = {}, signal = NEVER) {
  const program = join(directory, 'program.mjs');
  await writeFile(program, code);
  return runLimited(program, ['an argument'], { GIVEN: 'given' }, { ...LIMITS, ...limits }, signal);
}

describe('a process within limits', () => {
  test('has its arguments and environment, leaves no core, and is the first to go where memory is short', async () => {
    const { how, stdout } = await run(`
      import { readFileSync } from 'node:fs';
      const limits = readFileSync('/proc/self/limits', 'utf8');
      const limit = (name) => new RegExp(name + ' +(\\\\d+) +(\\\\d+)').exec(limits)?.slice(1).map(Number);
      console.log(JSON.stringify({
        args: process.argv.slice(2),
        given: process.env.GIVEN,
        path: process.env.PATH ?? null,
        data: limit('Max data size'),
        cpu: limit('Max cpu time'),
        core: limit('Max core file size'),
        badness: Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
      }));`);
    assert.equal(how, 'ended');
    assert.deepEqual(JSON.parse(stdout), {
      args: ['an argument'],
      given: 'given',
      path: null,
      data: [2 ** 30, 2 ** 30],
      cpu: [80, 80],
      core: [0, 0],
      badness: 1000,
    });
  });

  for (const [how, code, limits, expected] of [
    ['crashed', 'console.error("why"); process.exit(3)', {}, { code: 3, signal: null }],
    ['crashed', 'process.kill(process.pid, "SIGSEGV")', {}, { code: null, signal: 'SIGSEGV' }],
    ['out_of_time', 'for (;;);', { timeMs: 500 }, { code: null, signal: 'SIGKILL' }],
    ['too_much_output', 'console.log("much".repeat(30_000))', {}, { code: null, signal: null }],
  ] as const) {
    test(`${how}: ${code}`, async () => {
      const end = await run(code, limits);
      assert.deepEqual({ code: end.code, signal: end.signal, how: end.how }, { ...expected, how });
    });
  }

  test('is ended by its signal, or not begun', async () => {
    assert.equal((await run('for (;;);', {}, AbortSignal.timeout(500))).how, 'aborted');
    assert.equal((await run('', {}, AbortSignal.abort())).how, 'aborted');
  });
});
