import { type IncomingMessage, maxHeaderSize, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '../core/errors.ts';
import { ANY_CONTENT } from './content-headers.ts';
import { createProblem } from './problem.ts';

/** What a client may take to read an answer and to let go of a connection that it did not finish its request on. */
const FAREWELL_MS = 2000;

/** What Node's parser tells of what it cannot read. */
interface ParseError extends Error {
  readonly code?: string;
  /** A buffer, whatever Fastify's types say. */
  readonly rawPacket?: unknown;
  /** How far it came in the packet. */
  readonly bytesParsed?: number;
}

/** Answers CONNECT, which Node takes for no request. */
export function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  const detail = 'CONNECT is for a proxy, and this service is none';
  endConnection(socket, 'method_not_implemented', detail);
}

/** Answers what is not HTTP; no request exists yet. */
export function refuseUnreadable(error: ParseError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
  else endConnection(socket, ...reasonOfRefusal(error));
}

/** Answers on a connection by which no request can be completed, and closes it. */
export function endConnection(socket: Duplex, code: ErrorCode, detail: string): void {
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

function reasonOfRefusal(error: ParseError): [ErrorCode, string] {
  const { code = '', message } = error;
  if (code === 'HPE_HEADER_OVERFLOW')
    return ['headers_too_large', `the request line and headers may have ${maxHeaderSize} bytes`];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return ['request_timeout', 'the headers of the request were not complete in time'];
  if (code === 'HPE_PAUSED_H2_UPGRADE')
    return ['malformed_request', 'this is HTTP/2, and the service speaks HTTP/1.1'];
  const method = code === 'HPE_INVALID_METHOD' ? unknownMethodOf(error) : undefined;
  if (method !== undefined)
    return [
      'method_not_implemented',
      `${method} is no method of HTTP that is known here; they are in capitals`,
    ];
  const fault = message.replace(/^Parse Error: /, '');
  if (code.includes('CHUNK')) return ['malformed_body', `the chunks of the body cannot be read: ${fault}`];
  return ['malformed_request', `not an HTTP request: ${fault}`];
}

/** Of a request that is one but for its method. */
function unknownMethodOf({ rawPacket, bytesParsed = 0 }: ParseError): string | undefined {
  if (!Buffer.isBuffer(rawPacket)) return undefined;
  const start = bytesParsed > 0 ? rawPacket.lastIndexOf('\n', bytesParsed - 1) + 1 : 0;
  const line = rawPacket.toString('latin1', start, start + maxHeaderSize);
  return /^([\w!#$%&'*+.^`|~-]+) \S+ HTTP\/1\.[01]\r?\n/.exec(line)?.[1];
}
