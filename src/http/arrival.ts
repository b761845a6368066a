import type { IncomingMessage, ServerResponse } from 'node:http';
import { endConnection } from './raw-answer.ts';

/** A body that comes more slowly than this, 128 kbit/s, only holds a connection. */
const MIN_BYTES_PER_SECOND = 16 * 1024;

/**
 * Ends a request whose body does not arrive: with 408, or without a word where it was answered before. It has `timeoutMs`, and a second more for every
 * 16 KiB that have come: a large upload may take hours, one that stalls or trickles may not.
 */
export function limitArrival(request: IncomingMessage, response: ServerResponse, timeoutMs: number): void {
  const { headers, socket } = request;
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return;
  const began = performance.now();
  const bytesBefore = socket.bytesRead;
  const check = () => {
    if (request.complete) return;
    const seconds = (socket.bytesRead - bytesBefore) / MIN_BYTES_PER_SECOND;
    const left = began + timeoutMs + seconds * 1000 - performance.now();
    if (left > 0) timer = setTimeout(check, left);
    else if (response.headersSent) socket.destroy();
    else
      endConnection(
        socket,
        'request_timeout',
        `after ${Math.round(timeoutMs / 1000 + seconds)} s the body was not complete`,
      );
  };
  let timer = setTimeout(check, timeoutMs);
  const isOver = () => {
    clearTimeout(timer);
    socket.off('close', isOver);
  };
  request.once('end', isOver);
  request.once('close', isOver);
  // A request that was answered before its end hears nothing of its connection's.
  socket.once('close', isOver);
}
