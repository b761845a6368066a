import { shellWord } from '../report/wording.ts';
import { DATA_FLAGS, type DataFlags } from './run.ts';

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
  return [program, ...['verify', folder, ...models, ...data].map(shellWord)].join(' ');
}
