import type { Command } from 'commander';
import { SCOPES, type Scope } from '../access/caller.ts';
import { addKey, readKeys, removeKey } from '../access/key-file.ts';
import { SettingsFileError } from '../access/settings-file.ts';
import { EXIT, fileRefusal, Refusal } from './refusal.ts';
import { table } from './result-words.ts';
import type { Terminal } from './run.ts';

/** `emp keys add`, `list` and `remove`. Their actions throw Refusal. */
export function addKeyCommands(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('the file of keys that a service takes (API_KEYS_FILE)');
  const command = (name: string, text: string) =>
    keys.command(name).description(text).requiredOption('--file <file>', 'where the hashes of the keys are');
  command('add', 'make a key, and print it alone on the last line: it is kept nowhere')
    .argument('<name>', 'whose key it is')
    .option('--scope <list>', `what it allows: ${SCOPES.join(', ')}, separated by commas`, 'read,write')
    .option('--tenant <name>', 'the tenant that it belongs to; without, it is a key of the whole service')
    .action((name, { file, scope, tenant = null }) => add(terminal, file, { name, tenant, scope }));
  command('list', 'list names, tenants, scopes and dates').action(({ file }) => list(terminal, file));
  command('remove', 'take a key away; a service that runs hears of it within seconds')
    .argument('<name>', 'whose key it is')
    .action((name, { file }) => remove(terminal, file, name));
}

interface Asked {
  readonly name: string;
  readonly tenant: string | null;
  readonly scope: string;
}

async function add(
  { stdout, stderr }: Terminal,
  file: string,
  { name, tenant, scope }: Asked,
): Promise<void> {
  const scopes = scope.split(',').map(parseScope);
  if (tenant !== null && scopes.includes('admin'))
    throw new Refusal(EXIT.badInput, '--scope admin is of the service itself: leave out --tenant, or admin');
  const key = await refusing(file, addKey(file, { name, tenant, scopes }));
  const owner = tenant === null ? name : `${name} of tenant ${tenant}`;
  stderr.write(`${file} has the hash of the key of ${owner}, which allows ${scopes.join(', ')}. The key:\n`);
  stdout.write(`${key}\n`);
}

function parseScope(text: string): Scope {
  const scope = SCOPES.find((known) => known === text.trim());
  if (scope) return scope;
  throw new Refusal(EXIT.badInput, `--scope ${JSON.stringify(text)} is none of ${SCOPES.join(', ')}`);
}

async function list({ stdout }: Terminal, file: string): Promise<void> {
  const rows = (await refusing(file, readKeys(file))).map(({ name, tenant = '-', scopes, created_at }) => [
    name,
    tenant,
    scopes.join(', '),
    created_at,
  ]);
  stdout.write(table([['name', 'tenant', 'allows', 'made'], ...rows], [0, 1]));
}

async function remove({ stderr }: Terminal, file: string, name: string): Promise<void> {
  await refusing(file, removeKey(file, name));
  stderr.write(`${file} has no key of ${name} any more\n`);
}

async function refusing<T>(file: string, doing: Promise<T>): Promise<T> {
  try {
    return await doing;
  } catch (error) {
    if (error instanceof SettingsFileError) throw new Refusal(EXIT.badInput, error.message);
    throw fileRefusal(error, `cannot use ${file}`);
  }
}
