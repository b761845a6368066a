import { parseConfig } from './config.ts';
import { isMendable, startService } from './start-service.ts';

/**
 * Runs a role, `all` where none is asked for, until the signal aborts, and has the process end then: with code 1 where it could not start.
 * @param asked a role that has no process of its own is refused by name
 */
export async function serve(asked: string | undefined, signal: AbortSignal): Promise<never> {
  try {
    const onListening = (url: string) => console.log(`listening on ${url}`);
    const stop = await startService(parseConfig(process.env), asked, { signal, onListening });
    await new Promise((resolve) => {
      if (signal.aborted) resolve(null);
      else signal.addEventListener('abort', resolve);
    });
    await stop();
  } catch (error) {
    if (error !== signal.reason) {
      // One line for what the operator can mend; everything for what is our fault.
      console.error(isMendable(error) ? `cannot start: ${error.message}` : error);
      process.exit(1);
    }
  }
  // What does not stop in its time dies with the process.
  process.exit(0);
}
