import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReverseProxy {
  /** The same before and after it was away. */
  readonly url: string;
  /** What it demands of `/v1`, as `Authorization: Bearer`; null for nothing. */
  key: string | null;
  /** Nothing listens any more, and what was open is cut off. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

/** Stands before a service, as what checks keys does, and as what a network loses. */
export async function startReverseProxy(service: string): Promise<ReverseProxy> {
  const { hostname, port } = new URL(service);
  let server: Server | null = null;
  let place: number | null = null;
  const proxy = { url: '', key: null as string | null, goAway, comeBack };
  await comeBack();
  proxy.url = `http://127.0.0.1:${place}`;
  return proxy;

  async function comeBack(): Promise<void> {
    server = createServer((incoming, outgoing) => {
      const { url = '/', method, headers } = incoming;
      const isAllowed = proxy.key === null || headers.authorization === `Bearer ${proxy.key}`;
      if (url.startsWith('/v1/') && !isAllowed) {
        incoming.resume();
        outgoing.writeHead(401, { 'content-type': 'application/problem+json' });
        outgoing.end(JSON.stringify({ status: 401, code: 'unauthorized', detail: 'a key is needed' }));
        return;
      }
      const forwarded = request({ hostname, port, path: url, method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        // A stream of events begins with its headers.
        outgoing.flushHeaders();
        answer.pipe(outgoing);
      });
      forwarded.on('error', () => outgoing.destroy());
      outgoing.on('close', () => forwarded.destroy());
      incoming.pipe(forwarded);
    });
    server.listen(place ?? 0, '127.0.0.1');
    await once(server, 'listening');
    place = (server.address() as AddressInfo).port;
  }

  async function goAway(): Promise<void> {
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
    server = null;
  }
}
