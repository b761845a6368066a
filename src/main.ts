/** A signal may come while what follows is loaded, or waits for a server: it ends the process in order from its first line on. */
const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // A second signal means: now.
    if (ending.signal.aborted) process.exit(1);
    ending.abort();
  });
}

async function main(): Promise<void> {
  const { signal } = ending;
  const { parseConfig } = await import('./config.ts');
  const { isMendable, startService } = await import('./start-service.ts');
  try {
    const onListening = (url: string) => console.log(`listening on ${url}`);
    const stop = await startService(parseConfig(process.env), process.argv[2], { signal, onListening });
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

await main();
