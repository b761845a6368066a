import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Observation } from './arena.ts';
import type { Attack } from './attack.ts';

/** Writes an attack to a folder, its body beside what is said of it. Resolves to the file that `readReproducer` takes. */
export async function writeReproducer(folder: string, name: string, seen: Observation): Promise<string> {
  const { attack, findings } = seen;
  const { body, ...head } = attack.request;
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.json`);
  await writeFile(join(folder, `${name}.body`), body);
  const whole = { name: attack.name, times: attack.times, ...head, body: `${name}.body`, findings };
  await writeFile(path, `${JSON.stringify(whole, null, 2)}\n`);
  return path;
}

export async function readReproducer(path: string): Promise<Attack> {
  const { name, times, method, path: target, headers, body } = JSON.parse(await readFile(path, 'utf8'));
  const bytes = await readFile(join(dirname(path), basename(body)));
  return { name, times, request: { method, path: target, headers, body: bytes } };
}
