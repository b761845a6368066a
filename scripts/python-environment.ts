import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes a virtual environment of packages in `cache` unless it is there. Resolves to its Python. @throws Error where a package cannot be installed */
export async function ensureEnvironment(cache: string, packages: readonly string[]): Promise<string> {
  const environment = join(cache, `venv-${sha256(packages.join('\n')).slice(0, 8)}`);
  const python = join(environment, 'bin', 'python');
  if (existsSync(python)) return python;
  // A name of its own until it is whole: packages that were not installed to the end would be taken for good.
  const begun = `${environment}-begun`;
  await rm(begun, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', begun]);
  await run(join(begun, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', ...packages]);
  await rename(begun, environment);
  return python;
}

/** Runs a program to its end. @throws Error where it fails */
export async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
