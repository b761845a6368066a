import { ChildPool } from '../../src/jobs/child-pool.ts';
import type { Behaviour } from './pool-child.ts';

// A process to be killed, with two children that hear nothing. It tells their ids when they compute.
const program = new URL('./pool-child.ts', import.meta.url);
const pool = new ChildPool<Behaviour, { pid: number }>(
  program,
  {},
  {
    heapMebibytes: 64,
    memoryMebibytes: 1024,
    threads: 0,
  },
);
const run = { timeMs: 60_000, signal: new AbortController().signal };
const answers = await Promise.all([pool.run('answer', run), pool.run('answer', run)]);
for (const _ of answers) void pool.run('block', run);
setTimeout(() => console.log(answers.map(({ pid }) => pid).join(' ')), 500);
