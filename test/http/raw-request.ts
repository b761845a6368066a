import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';

export interface RawResponse {
  readonly status: number;
  /** By their names in small letters. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export async function connectTo(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** Sends what `fetch` would not, and reads until the server closes: the request must ask for that, or be refused. */
export async function rawRequest(url: string, request: string): Promise<RawResponse> {
  const socket = await connectTo(url);
  socket.write(request);
  return parseResponse(await text(socket));
}

/** Sends on and on until the server closes; what it answered before. A server that destroys the connection is no error. */
export async function trickle(socket: Socket, piece: string, everyMs: number): Promise<RawResponse> {
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  const timer = setInterval(() => socket.writable && socket.write(piece), everyMs);
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(timer);
  return parseResponse(answer);
}

export function parseResponse(answer: string): RawResponse {
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return { status: Number(statusLine.split(' ')[1]), headers: new Map(headers), body: rest.join('\r\n\r\n') };
}
