import { DATA_FLAGS, type DataFlags } from './run.ts';

/** What a shell takes as it is. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** A word that any POSIX shell reads as this text. */
export function quoted(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * The command that makes a result again and compares, to be pasted into a shell.
 * @param program what this program was called by, as a shell reads it
 * @param flags those of the run: the data are given again as they were given
 */
export function verifyCommand(
  program: string,
  folder: string,
  models: readonly string[],
  flags: DataFlags,
): string {
  const data = DATA_FLAGS.flatMap(([name, flag]) =>
    [flags[name] ?? []].flat().flatMap((path) => [flag, path]),
  );
  return [program, ...['verify', folder, ...models, ...data].map(quoted)].join(' ');
}
