import { ApiError, isPassing, request } from './api-requests.ts';
import { whenToRetry } from './connection.ts';

export interface StreamEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** The server sends something every 15 seconds; a connection without is dead. */
const SILENCE_MS = 40_000;

/**
 * Server-sent events from first to last, over as many connections as it takes. EventSource could not send a key.
 * @throws ApiError for what another try does not help; the reason of `signal`
 */
export async function* followEvents(path: string, signal: AbortSignal): AsyncGenerator<StreamEvent, void> {
  let lastId = '';
  for (;;) {
    const silence = new AbortController();
    let patience = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const response = await request(path, {
        headers: { accept: 'text/event-stream', ...(lastId !== '' && { 'last-event-id': lastId }) },
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (response.status === 204 || !response.body) return;
      let text = '';
      for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
        clearTimeout(patience);
        patience = setTimeout(() => silence.abort(), SILENCE_MS);
        const parts = (text + piece).split('\n\n');
        text = parts.pop() ?? '';
        for (const event of parts.flatMap(parseEvent)) {
          lastId = event.id;
          yield event;
          if (event.event !== 'progress') return;
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      // A stream that breaks off is none of these.
      if (error instanceof ApiError && !isPassing(error)) throw error;
    } finally {
      clearTimeout(patience);
    }
    await whenToRetry();
    signal.throwIfAborted();
  }
}

/** One event; none of a comment. */
function parseEvent(block: string): StreamEvent[] {
  const fields = Object.fromEntries(
    block
      .split('\n')
      .filter((line) => line.includes(': ') && !line.startsWith(':'))
      .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
  );
  const { id = '', event, data = '' } = fields;
  return event === undefined ? [] : [{ id, event, data }];
}
