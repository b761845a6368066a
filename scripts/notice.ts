// npm run notice: writes NOTICE, the licences of all that is installed with the service, which test/gates/notice.test.ts holds against the lock file.
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUNDLED } from './notice/bundled.ts';

const ROOT = new URL('../', import.meta.url);
const NOTICE = new URL('NOTICE', ROOT);
const LICENCE_FILE = /^(licen[cs]e|copying|notice|third.?party)/i;

const HEAD = `Effective Model Pruning, licensed under the Apache License 2.0 (see LICENSE), is installed with the packages below.
Written by \`npm run notice\` from package-lock.json and the packages themselves.`;

/** A package as the lock file has it. */
interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  readonly dev?: boolean;
  /** Of what is built for some machines, and is not there on others. */
  readonly cpu?: readonly string[];
}

/** All of NOTICE: each package with name, version and licence, then each licence text once. The same on every platform. */
export async function renderNotice(): Promise<string> {
  const { packages } = JSON.parse(await readFile(new URL('package-lock.json', ROOT), 'utf8'));
  const lines: string[] = [];
  const users = new Map<string, string[]>();
  for (const [path, locked] of Object.entries<LockedPackage>(packages)) {
    if (path === '' || locked.dev) continue;
    const name = path.split('node_modules/').at(-1) ?? path;
    const title = `${name} ${locked.version}`;
    const bundled = BUNDLED[name]?.(locked.version) ?? [];
    const texts = [...(locked.cpu ? [] : await readLicences(path)), ...bundled];
    lines.push(
      `${title}: ${locked.license ?? 'no licence named'}${texts.length > 0 ? '' : ' (ships no text)'}`,
    );
    for (const text of texts) users.set(text, [...(users.get(text) ?? []), title]);
  }
  const sections = Array.from(users, ([text, titles]) => {
    return `${'='.repeat(80)}\n${[...new Set(titles)].join('\n')}\n${'-'.repeat(80)}\n${text}`;
  });
  return `${HEAD}\n\n${[...new Set(lines)].join('\n')}\n\n${sections.join('\n\n')}\n`;
}

/** The texts in a package's own folder, or in one of that name in it. @throws Error where it is not installed */
async function readLicences(path: string): Promise<string[]> {
  const folder = new URL(`${path}/`, ROOT);
  if (!existsSync(folder)) throw new Error(`${path} is not installed: npm ci`);
  const names = (await readdir(folder)).filter((name) => LICENCE_FILE.test(name));
  const found = names.map(async (name) => {
    const path = fileURLToPath(new URL(name, folder));
    if (!(await stat(path)).isDirectory()) return path;
    const entries = await readdir(path, { withFileTypes: true, recursive: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  });
  const files = (await Promise.all(found)).flat();
  const texts = await Promise.all(files.sort().map((file) => readFile(file, 'utf8')));
  return texts.map((text) => text.replaceAll(/[ \t]*\r?\n/g, '\n').trim());
}

if (import.meta.main) await writeFile(NOTICE, await renderNotice());
