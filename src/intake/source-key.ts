import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';

/** A file's imports and re-exports of other files here, but for those of types alone. */
const IMPORTS = /^(?:import|export) (?!type\b)(?:[\w*{][^;']* from )?'(\.{1,2}\/[^']+)'/gm;

/**
 * A text that changes with the source of a program, and with nothing else: what was computed by another is to be computed anew.
 * @param program the file that is run; it counts, and what it imports of this project, directly or not
 * @param root of the project; where that lies does not count
 * @returns 64 hexadecimal digits
 */
export async function sourceKey(program: string, root: string): Promise<string> {
  const sources = await readSources(program);
  const hash = createHash('sha256');
  for (const path of [...sources.keys()].sort())
    hash.update(`${relative(root, path).split(sep).join('/')}\n${sources.get(path)}\n`);
  return hash.digest('hex');
}

/** The sources of a program by path: its own, and those of all files that it imports. */
export async function readSources(program: string): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    if (sources.has(path)) return;
    sources.set(path, '');
    const source = await readFile(path, 'utf8');
    sources.set(path, source);
    await Promise.all(Array.from(source.matchAll(IMPORTS), ([, to = '']) => visit(join(dirname(path), to))));
  };
  await visit(program);
  return sources;
}
