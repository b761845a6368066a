import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { type Destinations, RefusedAddress } from './destinations.ts';

/** For everything: names, connections, redirects and answers. */
const TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 3;
/** Nobody reads it. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** All are followed by the same request: a receiver that has moved wants what was sent. */
const REDIRECTS = [301, 302, 307, 308];

export interface WebhookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string;
}

/** What became of it. */
export interface Sent {
  /** Of the last answer; null where there was none. */
  readonly status: number | null;
  /** Null where it was taken: by a status of 200 to 299. */
  readonly error: string | null;
}

/** Sends a webhook once. Never rejects: what goes wrong is told. */
export async function sendWebhook(
  { url, headers, body }: WebhookRequest,
  destinations: Destinations,
  timeoutMs: number = TIMEOUT_MS,
): Promise<Sent> {
  const signal = AbortSignal.timeout(timeoutMs);
  let target = url;
  for (let redirects = 0; ; redirects++) {
    const refusal = destinations.refusalOf(target);
    if (refusal) return { status: null, error: `${redirects === 0 ? 'the URL' : 'a redirect'} ${refusal}` };
    try {
      const { status, location } = await post({ url: target, headers, body }, destinations.lookup, signal);
      if (status >= 200 && status < 300) return { status, error: null };
      if (!REDIRECTS.includes(status) || location === undefined || !URL.canParse(location, target))
        return { status, error: `the receiver answered ${status}` };
      if (redirects === MAX_REDIRECTS) return { status, error: `more than ${MAX_REDIRECTS} redirects` };
      target = new URL(location, target).href;
    } catch (error) {
      const reason = signal.aborted ? `no whole answer within ${timeoutMs / 1000} s` : reasonOf(error);
      return { status: null, error: reason };
    }
  }
}

/** Sends it to one place, whose answer is read as far as needed to be sure that it was given. */
export function post(
  { url, headers, body }: WebhookRequest,
  lookup: LookupFunction,
  signal: AbortSignal,
): Promise<{ status: number; location: string | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number;
    location: string | undefined;
  }>();
  const options = {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': 'effective-model-pruning',
    },
    // One that was opened for another request has not been looked up now.
    agent: false,
    lookup,
    signal,
  } as const;
  const request = url.startsWith('https:') ? requestHttps(url, options) : requestHttp(url, options);
  request.on('error', reject);
  // Of one that changes the protocol nothing else is heard.
  request.on('close', () => reject(new Error('closed before there was a whole answer')));
  request.on('response', (response) => {
    const { statusCode: status = 0, headers: answered } = response;
    const told = { status, location: answered.location };
    let read = 0;
    response.on('data', (chunk: Buffer) => {
      read += chunk.byteLength;
      if (read <= MAX_ANSWER_BYTES) return;
      resolve(told);
      request.destroy();
    });
    response.on('end', () => resolve(told));
    response.on('error', reject);
  });
  request.end(body);
  return promise;
}

/** For whoever asked for it: no address of this network, which messages of the system have. */
function reasonOf(error: unknown): string {
  if (error instanceof RefusedAddress) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : null;
  return code === null ? 'the connection failed' : `the connection failed: ${code}`;
}
