import { request as openRequest } from 'node:http';
import type { HostileRequest } from './attack.ts';

export interface Answer {
  /** 0 where there was none: the connection was cut. */
  readonly status: number;
  /** Of the body, counted; of a large one only the beginning is kept. */
  readonly byteLength: number;
  readonly text: string;
  /** Whether it took longer than allowed. */
  readonly isLate: boolean;
}

const KEPT_BYTES = 2 ** 20;

/** Sends a request as it is and takes the answer in, `timeoutMs` at most. */
export function send(baseUrl: string, request: HostileRequest, timeoutMs: number): Promise<Answer> {
  const { method, path, headers, body } = request;
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const signal = AbortSignal.timeout(timeoutMs);
  const options = {
    method,
    headers: { ...headers, 'content-length': body.byteLength },
    signal,
    agent: false,
  };
  let status = 0;
  let byteLength = 0;
  const kept: Buffer[] = [];
  const end = () =>
    resolve({ status, byteLength, text: Buffer.concat(kept).toString(), isLate: signal.aborted });
  const outgoing = openRequest(baseUrl + path, options, (response) => {
    status = response.statusCode ?? 0;
    response.on('data', (chunk: Buffer) => {
      if (byteLength < KEPT_BYTES) kept.push(chunk);
      byteLength += chunk.byteLength;
    });
    response.on('close', end).on('error', () => {});
  });
  // A server that refuses early may hang up before all has been sent, and its answer is there all the same.
  outgoing.on('error', () => setImmediate(end));
  outgoing.end(body);
  return promise;
}
