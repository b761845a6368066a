import { EXIT, Refusal } from './refusal.ts';
import type { Terminal } from './run.ts';

/** Says why a run ends that something stopped, and gives the exit code of that. */
export function tellEnd(error: unknown, { stderr }: Pick<Terminal, 'stderr'>): number {
  if (error instanceof Refusal) {
    stderr.write(`emp: ${error.message}\n`);
    const places = error.places.filter(({ message }) => !error.message.includes(message));
    for (const [message, alike] of Map.groupBy(places, (place) => place.message))
      stderr.write(`  ${alike.map(({ path }) => path).join(', ')}: ${message}\n`);
    return error.exitCode;
  }
  // What the system or a setting refuses is one line, what is our fault all of it.
  const isMendable = error instanceof Error && ('code' in error || error.name === 'ConfigError');
  stderr.write(`emp: ${isMendable ? error.message : error instanceof Error ? error.stack : error}\n`);
  return error instanceof Error && error.name === 'ConfigError' ? EXIT.badInput : EXIT.fault;
}
