import { basename } from 'node:path';
import { EmpError } from '../core/errors.ts';
import type { FromChild, ToChild, ToldError } from './child-messages.ts';

/** What a child is lent for one request. */
export interface RunContext<News> {
  /** Aborts when the parent wants the work to end, with its reason. */
  readonly signal: AbortSignal;
  /** Tells the parent; what is told before the end arrives before it. */
  tell(news: News): void;
}

/**
 * The main program of a child of `ChildPool`: does one request after the other. What `handle` returns or throws is told as the answer.
 * @param nameOf what lists of processes show of a request
 */
export function serveParent<Request, Answer, News = never>(
  handle: (request: Request, context: RunContext<News>) => Promise<Answer>,
  nameOf: (request: Request) => string,
): void {
  process.once('disconnect', () => process.exit(1));
  // A terminal and a service manager tell all processes: what becomes of the work is the parent's to say.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
  const say = (message: FromChild<Answer, News>) => {
    // Where the channel is gone, this process ends.
    process.send?.(message, undefined, undefined, () => {});
  };
  const tell = (news: News) => say({ kind: 'news', news });
  const program = `emp ${basename(process.argv[1] ?? '').replace(/\.[jt]s$/, '')}`;
  const bytesAtStart = process.memoryUsage.rss();
  let stop = new AbortController();
  process.on('message', async (message: ToChild<Request>) => {
    if (message.kind === 'stop') return stop.abort(message.reason);
    stop = new AbortController();
    process.title = `${program} ${nameOf(message.request)}`;
    const said = await handle(message.request, { signal: stop.signal, tell }).then(
      (answer) => ({ kind: 'done', answer }) as const,
      (error: unknown) => ({ kind: 'failed', ...toldError(error) }) as const,
    );
    process.title = `${program} idle`;
    say({ ...said, grownBytes: process.memoryUsage.rss() - bytesAtStart });
  });
}

function toldError(error: unknown): ToldError {
  if (!(error instanceof Error)) return { code: null, text: String(error), findings: [], stack: undefined };
  const { message: text, stack } = error;
  return error instanceof EmpError
    ? { code: error.code, text, findings: error.findings, stack }
    : { code: null, text, findings: [], stack };
}
