import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmpError } from '../../src/core/errors.ts';
import { serveParent } from '../../src/jobs/child-program.ts';

/** What a child of the tests is asked to do; each answers with its process id. */
export type Behaviour =
  | 'answer'
  | 'look'
  | 'tell'
  | 'wait'
  | 'block'
  | 'refuse'
  | 'throw'
  | 'exit'
  | 'crash'
  | 'objects'
  | 'bytes'
  | 'keep'
  | 'hoard';

const hoarded: Uint8Array[] = [];
const behaviours: Readonly<
  Record<Behaviour, (tell: (news: string) => void, signal: AbortSignal) => unknown>
> = {
  answer: () => {},
  look: () => ({
    limits: readFileSync('/proc/self/limits', 'utf8'),
    badness: Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
    environment: { GIVEN: process.env.GIVEN, PATH: process.env.PATH },
    command: readFileSync('/proc/self/cmdline', 'utf8'),
  }),
  tell(tell) {
    for (const word of ['one', 'two', 'three']) tell(word);
  },
  async wait(_tell, signal) {
    await sleep(60_000, undefined, { signal }).catch(() => {});
    return signal.reason;
  },
  block() {
    for (;;);
  },
  refuse() {
    throw new EmpError('malformed_onnx', 'node 3 is cut short', [{ path: 'node/3', message: 'cut' }]);
  },
  throw() {
    throw new TypeError('a fault of ours');
  },
  exit: () => process.exit(3),
  crash: () => process.kill(process.pid, 'SIGSEGV') && sleep(60_000),
  objects() {
    for (const kept: object[] = []; ; ) kept.push(new Array(2 ** 20).fill({}));
  },
  bytes: () => new Uint8Array(2 ** 31).fill(1).length,
  keep() {
    hoarded.push(new Uint8Array(2 ** 26).fill(1));
  },
  hoard() {
    hoarded.push(new Uint8Array(2 ** 28).fill(1));
  },
};

serveParent<Behaviour, { pid: number; what: unknown }, string>(
  async (behaviour, { signal, tell }) => ({
    pid: process.pid,
    what: await behaviours[behaviour](tell, signal),
  }),
  (behaviour) => `test ${behaviour}`,
);
