import { execFile, execFileSync } from 'node:child_process';
import { chown, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { freePort } from './free-port.ts';
import { type RestartableService, startProcess, startRestartable } from './service.ts';

/** Starts Debian's PostgreSQL on a new cluster in a folder of its own. Stop it in `after`. */
export async function startPostgres(): Promise<RestartableService> {
  const binaries = await findBinaries();
  const user = unprivilegedUser();
  const directory = await mkdtemp(join(tmpdir(), 'emp-postgres-'));
  if (user.uid !== undefined && user.gid !== undefined) await chown(directory, user.uid, user.gid);
  const data = join(directory, 'data');
  const cluster = ['-D', data, '-U', 'emp', '-A', 'trust', '--no-sync', '--no-instructions', '-E', 'UTF8'];
  await promisify(execFile)(join(binaries, 'initdb'), cluster, { ...user, cwd: directory });
  const port = await freePort();
  const args = ['-D', data, '-p', String(port), '-k', directory, '-h', '127.0.0.1', '-c', 'fsync=off'];
  const start = () => startProcess(join(binaries, 'postgres'), args, { ...user, cwd: directory });
  const url = `postgres://emp@127.0.0.1:${port}/postgres`;
  const ask = async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.end();
  };
  return startRestartable(url, directory, start, ask, 'SIGINT');
}

/** Debian keeps the server's programs, one folder a major version, out of the PATH; elsewhere they are in it. */
export async function findBinaries(): Promise<string> {
  const root = '/usr/lib/postgresql';
  const versions = await readdir(root).catch(() => []);
  const newest = versions.map(Number).sort((a, b) => b - a)[0];
  return newest === undefined ? '' : join(root, String(newest), 'bin');
}

/** PostgreSQL refuses to run as root; its package makes a user for it. */
function unprivilegedUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const number = (flag: string) => Number(execFileSync('id', [flag, 'postgres']));
  return { uid: number('-u'), gid: number('-g') };
}
