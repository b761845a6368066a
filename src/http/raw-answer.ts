import { maxHeaderSize, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '../core/errors.ts';
import { ANY_CONTENT } from './content-headers.ts';
import { createProblem } from './problem.ts';

/** What a client may take to read an answer and to let go of a connection that it did not finish its request on. */
const FAREWELL_MS = 2000;

/** Answers what is not HTTP; no request exists yet. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
  else endConnection(socket, ...reasonOfRefusal(error));
}

/** Answers on a connection by which no request can be completed, and closes it. */
export function endConnection(socket: Socket, code: ErrorCode, detail: string): void {
  const problem = createProblem(code, detail, '/');
  const body = JSON.stringify(problem);
  const headers = {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    ...ANY_CONTENT,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`);
  const patience = setTimeout(() => socket.destroy(), FAREWELL_MS);
  socket.once('close', () => clearTimeout(patience));
}

function reasonOfRefusal({ code, message }: Error & { code?: string }): [ErrorCode, string] {
  if (code === 'HPE_HEADER_OVERFLOW')
    return ['headers_too_large', `the request line and headers may have ${maxHeaderSize} bytes`];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return ['request_timeout', 'the headers of the request were not complete in time'];
  return ['malformed_body', `not an HTTP request: ${message}`];
}
