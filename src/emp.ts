#!/usr/bin/env node
/** The command line's process: signals, broken pipes and exit codes. What follows is loaded where it is needed, and only by a Node that can run it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import type { Service } from './cli/api-client.ts';

const OLDEST_NODE = 24;

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  // The package `node`, a dependency, has one.
  const node = createRequire(import.meta.url).resolve('node/bin/node');
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  // What a terminal tells, it tells the child too.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [status] = await once(child, 'exit');
  process.exit(status ?? 1);
}

/** A signal may come while what follows is loaded: it ends the process in order from its first line on. */
const ending = new AbortController();
let code: number | null = null;
let endingSince = 0;
const SAME_KEY_MS = 1000;
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // A second signal means: now. One key may be told twice, by the terminal and by who started this.
    if (ending.signal.aborted) {
      if (performance.now() - endingSince > SAME_KEY_MS) process.exit(code);
      return;
    }
    endingSince = performance.now();
    code = 128 + constants.signals[signal];
    ending.abort();
  });
}
/** What was to be said and could not be. Where who reads has gone, as `head` does, nothing is lost: what is done goes on to its end. */
let unsaid: NodeJS.ErrnoException | null = null;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') unsaid = error;
});
process.stderr.on('error', () => {});
// Where a server answers before a form has come whole, Node's fetch goes on to fill the stream that it has closed, and throws where nobody can catch it.
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  if (error.code === 'ERR_INVALID_STATE' && /ReadableStream is already closed/.test(error.message)) return;
  process.stderr.write(`emp: ${error.stack}\n`);
  process.exit(1);
});

const { parseConfig } = await import('./config.ts');
const { runProgram } = await import('./cli/command-line.ts');
const { shellWord } = await import('./report/wording.ts');
const { EXIT, fileRefusal, NO_ROOM, temporaryRefusal } = await import('./cli/refusal.ts');
const { tellEnd } = await import('./cli/tell-end.ts');
const { default: packageJson } = await import('../package.json', { with: { type: 'json' } });

const resources = new AsyncDisposableStack();

async function openService(
  server: string | undefined,
  onFault: (error: Error) => void,
): Promise<Service & AsyncDisposable> {
  if (server !== undefined) {
    const { openRemoteService } = await import('./cli/remote-service.ts');
    return openRemoteService(server, process.env.EMP_API_KEY);
  }
  const config = parseConfig(process.env);
  const folder = tmpdir();
  const { openLocalService } = await import('./local-service.ts');
  const fault = (code: string, message: string) =>
    temporaryRefusal(folder, code === 'insufficient_storage' ? NO_ROOM : `fails (${message})`);
  try {
    const scratch = resources.adopt(await mkdtemp(join(folder, 'emp-')), (path) =>
      rm(path, { recursive: true, force: true, maxRetries: 5 }),
    );
    // Of the children: onnxruntime leaves logs of its own there.
    process.env.TMPDIR = scratch;
    return await openLocalService(config, scratch, ({ code, message }) => onFault(fault(code, message)));
  } catch (error) {
    throw fileRefusal(error, `cannot write to ${folder}`, ': TMPDIR names another folder');
  }
}

/** What a shell in this folder calls this program by: npm runs it in its own. */
function calledBy(): string {
  const [, path] = process.argv;
  const { npm_lifecycle_event: script = '', npm_package_name: project } = process.env;
  if (project === packageJson.name && ['emp', 'demo'].includes(script)) return 'npm run -s emp --';
  if (basename(path) === 'emp') return script === 'npx' ? 'npx emp' : 'emp';
  return `${shellWord(process.argv0)} ${shellWord(relative('', path) || path)}`;
}

/** Resolves to the exit code. */
async function run(): Promise<number> {
  const fault = Promise.withResolvers<never>();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(ending.signal.reason);
  ending.signal.addEventListener('abort', abort);
  const running = runProgram(process.argv.slice(2), {
    version: packageJson.version,
    program: calledBy(),
    terminal: process,
    signal: ending.signal,
    resources,
    openService: (server) => openService(server, fault.reject),
    async serve(role) {
      // It ends in an order of its own.
      ending.signal.removeEventListener('abort', abort);
      const { serve } = await import('./serve.ts');
      return serve(role, ending.signal);
    },
  });
  return Promise.race([running, aborted.promise, fault.promise]);
}

try {
  code = await run();
} catch (error) {
  code ??= tellEnd(error, process);
}
await resources.disposeAsync().catch((error) => {
  process.stderr.write(`emp: ${error.message}\n`);
});
if (unsaid && code === EXIT.kept) {
  process.stderr.write(`emp: standard output: ${(unsaid as Error).message}\n`);
  code = EXIT.fault;
}
process.exit(code);
