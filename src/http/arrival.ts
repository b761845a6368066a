import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { endConnection } from './raw-answer.ts';

/** A body that comes more slowly than this, 128 kbit/s, only holds a connection. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const SWEEP_MS = 1000;

/** The last request of a connection: the ones before it have arrived. */
interface Arrival {
  request: IncomingMessage;
  response: ServerResponse;
  began: number;
  /** Of the connection, when the request began. */
  bytesBefore: number;
}

/**
 * Ends requests whose bodies do not arrive: with 408, or without a word where they were answered before. Each has `timeoutMs`, and a second more for
 * every 16 KiB that have come: a large upload may take hours, one that stalls or trickles may not. Connections are looked at once a second: timers and
 * listeners of each request would cost a small one a tenth.
 */
export function limitArrival(server: Server, timeoutMs: number): void {
  const arrivals = new Map<Socket, Arrival>();
  server.on('request', (request, response) => {
    const { socket } = request;
    const began = performance.now();
    const bytesBefore = socket.bytesRead;
    const arrival = arrivals.get(socket);
    if (arrival) {
      Object.assign(arrival, { request, response, began, bytesBefore });
    } else {
      arrivals.set(socket, { request, response, began, bytesBefore });
      socket.once('close', () => arrivals.delete(socket));
    }
  });
  const sweep = () => {
    for (const [socket, { request, response, began, bytesBefore }] of arrivals) {
      if (request.complete || socket.destroyed || socket.writableEnded) continue;
      const seconds = timeoutMs / 1000 + (socket.bytesRead - bytesBefore) / MIN_BYTES_PER_SECOND;
      if (performance.now() - began < seconds * 1000) continue;
      if (response.headersSent) socket.destroy();
      else
        endConnection(socket, 'request_timeout', `after ${Math.round(seconds)} s the body was not complete`);
    }
  };
  server.once('listening', () => {
    const timer = setInterval(sweep, SWEEP_MS);
    server.once('close', () => clearInterval(timer));
  });
}
