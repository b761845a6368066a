import { glob, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readImports, resolveImport } from '../../scripts/imports.ts';

/** What the tree does against its own rules, and the files that do it. */
export type Findings = ReadonlyMap<string, readonly string[]>;

/** What a room, a folder of `src` or a file right in it, may import. */
export interface Room {
  readonly rooms: ReadonlySet<string>;
  /** Node's modules and those of packages; a room that may import nothing else has none of them either. */
  readonly packages: boolean;
}

interface SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** What stands between the quotes, in order. */
  readonly imports: readonly string[];
}

const MAP = 'docs/architecture.md';
const LONGEST = 250;
/** A file that reads one file, the kernel beside it, in a room that imports nothing else. */
const READS_THE_KERNEL = 'src/core/kernel/kernel-module.ts';
/** Names that a room repeats by rule: the table of what it has, one rule an operator family, one file a criterion of weights or structures, one a step of the pipeline for both, and the kernel's source, a program of its own. */
const REPEATED_BY_RULE = [
  /\/registry\.ts$/,
  /\/rules\/[^/]+$/,
  /^src\/(criteria|pipeline)\/(weights|structures)\/[^/]+$/,
  /^src\/core\/kernel\/assembly\//,
];

/** All that the tree under `root` does against its map and the rules of the house. */
export async function findViolations(root: string): Promise<Findings> {
  const files = await readSources(root);
  const map = await readMap(root);
  const findings = new Map<string, string[]>();
  const report = (what: string, where: string) => {
    const places = findings.get(what) ?? [];
    findings.set(what, [...places, where]);
  };

  const rooms = new Set(files.map(({ path }) => roomOf(path)));
  for (const room of rooms) if (!map.has(room)) report(`the map lacks ${room}`, MAP);
  for (const [room, { rooms: allowed }] of map) {
    if (!rooms.has(room)) report(`the map has ${room}, which src has not`, MAP);
    for (const other of allowed) if (!map.has(other)) report(`the map lacks ${other}`, MAP);
  }
  for (const cycle of findCycles(new Map([...map].map(([room, entry]) => [room, entry.rooms]))))
    report(`the map allows a cycle of ${cycle.join(', ')}`, MAP);

  const uses = new Map([...rooms].map((room) => [room, new Set<string>()]));
  for (const file of files) {
    const room = roomOf(file.path);
    const entry = map.get(room);
    for (const imported of file.imports) {
      const target = resolveImport(file.path, imported);
      if (target === null) {
        const allowed = entry === undefined || entry.packages || readsTheKernel(file.path, imported);
        if (!allowed) report(`${room} imports ${imported}`, file.path);
      } else if (!target.startsWith('src/')) {
        if (target !== 'package.json') report(`${room} imports ${target}`, file.path);
      } else if (roomOf(target) !== room) {
        uses.get(room)?.add(roomOf(target));
        if (entry && !entry.rooms.has(roomOf(target))) report(`${room} imports ${roomOf(target)}`, file.path);
      }
    }
    if (file.text.split('\n').length - 1 > LONGEST && !/over 250 lines|@generated/i.test(headOf(file.text)))
      report(`${file.path} is over ${LONGEST} lines and its head gives no reason`, file.path);
  }
  for (const cycle of findCycles(uses)) report(`a cycle of ${cycle.join(', ')}`, 'src');

  const named = files.filter(({ path }) => !REPEATED_BY_RULE.some((rule) => rule.test(path)));
  for (const [name, same] of Map.groupBy(named, ({ path }) => basename(path)))
    if (same.length > 1) for (const { path } of same) report(`${name} is the name of several files`, path);
  return findings;
}

/** The layout table of `docs/architecture.md`: by room what it may import. */
export async function readMap(root: string): Promise<ReadonlyMap<string, Room>> {
  const map = new Map<string, Room>();
  const text = await readFile(join(root, MAP), 'utf8');
  for (const [, first, allowed] of text.matchAll(/^\|([^|]*)\|[^|]*\|([^|]*)\|$/gm)) {
    const room = /^ `src\/([\w.-]+)\/?` $/.exec(first)?.[1];
    if (room !== undefined) map.set(room, parseAllowed(allowed, [...map.keys()]));
  }
  if (map.size === 0) throw new Error(`${MAP} has no table of rooms`);
  return map;
}

/** `nothing else`, or rooms by name with commas and `and`, of which `all above` stands for those of the rows before. */
function parseAllowed(cell: string, above: readonly string[]): Room {
  const words = cell.split(/,|\band\b/).map((word) => word.trim().replaceAll('`', ''));
  if (words.includes('nothing else')) return { rooms: new Set(), packages: false };
  return { rooms: new Set(words.flatMap((word) => (word === 'all above' ? above : word))), packages: true };
}

async function readSources(root: string): Promise<SourceFile[]> {
  const paths = await Array.fromAsync(glob('src/**/*.{ts,tsx}', { cwd: root }));
  if (paths.length === 0) throw new Error(`no sources under ${root}`);
  return await Promise.all(
    paths.sort().map(async (found) => {
      const path = found.replaceAll('\\', '/');
      const text = await readFile(join(root, path), 'utf8');
      return { path, text, imports: readImports(text) };
    }),
  );
}

function roomOf(path: string): string {
  return path.split('/')[1];
}

function readsTheKernel(path: string, imported: string): boolean {
  return path === READS_THE_KERNEL && imported === 'node:fs';
}

/** The comment that a file begins with, if it does. */
function headOf(text: string): string {
  return /^(?:\s*(?:\/\*[\s\S]*?\*\/|\/\/.*\n))+/.exec(text)?.[0] ?? '';
}

/** Groups of rooms of which each leads to each other, sorted. */
function findCycles(edges: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const reach = new Map([...edges.keys()].map((room) => [room, reachableFrom(room, edges)]));
  const cycles = new Map<string, string[]>();
  for (const [room, reached] of reach) {
    const group = [...reached].filter((other) => reach.get(other)?.has(room)).sort();
    if (reached.has(room)) cycles.set(group.join(), group);
  }
  return [...cycles.values()];
}

function reachableFrom(start: string, edges: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const reached = new Set<string>();
  const waiting = [...(edges.get(start) ?? [])];
  for (let room = waiting.pop(); room !== undefined; room = waiting.pop()) {
    if (reached.has(room)) continue;
    reached.add(room);
    waiting.push(...(edges.get(room) ?? []));
  }
  return reached;
}
