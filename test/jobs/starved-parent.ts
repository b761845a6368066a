/** Uses up the files that it may have open, and has a child do something then and afterwards. */
import { closeSync, openSync } from 'node:fs';
import { ChildFailure, ChildPool } from '../../src/jobs/child-pool.ts';

const LIMITS = { heapMebibytes: 64, memoryMebibytes: 1024, threads: 1 };
const pool = new ChildPool<string, unknown, string>(new URL('./pool-child.ts', import.meta.url), {}, LIMITS);
const run = () =>
  pool.run('answer', { timeMs: 20_000, signal: new AbortController().signal }).then(
    () => 'answered',
    (error) => (error instanceof ChildFailure ? error.how : `${error}`),
  );

const open: number[] = [];
try {
  for (;;) open.push(openSync('/dev/null', 'r'));
} catch {
  // No more may be open.
}
const starved = await run();
for (const file of open) closeSync(file);
console.log(`${starved}, ${await run()}`);
await pool.close();
