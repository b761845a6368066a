import { readdir, readFile } from 'node:fs/promises';

/** One process of Linux, as /proc shows it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** In ticks since the machine started: with the pid it names a process for good. */
  readonly startTicks: number;
  /** Of the process and of its children that have ended. */
  readonly cpuSeconds: number;
}

/** What all processes of a tree take together. */
export interface TreeUsage {
  /** Resident memory but for pages of files, which Linux takes back at will, in bytes. */
  readonly memoryBytes: number;
  readonly cpuSeconds: number;
}

/** Linux counts the time of processes in hundredths on every platform that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Every process that runs; those that ended and wait for their parents are left out. */
export async function readProcesses(): Promise<ProcessInfo[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const read = pids.map(async (pid) =>
    parseStat(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')),
  );
  return (await Promise.all(read)).filter((info) => info !== null);
}

/** A process and all that descend from it. */
export async function readTree(root: number): Promise<ProcessInfo[]> {
  const all = await readProcesses();
  const children = Map.groupBy(all, ({ parent }) => parent);
  const tree = all.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

export async function readTreeUsage(root: number): Promise<TreeUsage> {
  const tree = await readTree(root);
  const memory = await Promise.all(tree.map(({ pid }) => readMemory(pid)));
  return {
    memoryBytes: memory.reduce((sum, bytes) => sum + bytes, 0),
    cpuSeconds: tree.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
  };
}

/** Whether a process's environment or command line holds `text`. */
export async function mentions(pid: number, text: string): Promise<boolean> {
  const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
  return (await read('environ')).includes(text) || (await read('cmdline')).includes(text);
}

/** Of a process that is gone, zero. */
async function readMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

function parseStat(stat: string): ProcessInfo | null {
  const pid = Number.parseInt(stat, 10);
  // The command stands in parentheses and may hold any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parent] = fields;
  if (!pid || !parent || state === 'Z' || state === 'X') return null;
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return {
    pid,
    parent: Number(parent),
    startTicks: Number(fields[19]),
    cpuSeconds: ticks / TICKS_PER_SECOND,
  };
}
