/** A signal may come while what follows is loaded, or waits for a server: it ends the process in order from its first line on. */
const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // A second signal means: now.
    if (ending.signal.aborted) process.exit(1);
    ending.abort();
  });
}

const { serve } = await import('./serve.ts');
await serve(process.argv[2], ending.signal);
