import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { once } from 'node:events';
import type { Resolve } from '../../src/webhooks/destinations.ts';

/** A name server with an answer of one IPv4 address to each question: the next one that is given, and the last again and again. */
export interface NameServer extends AsyncDisposable {
  /** As `dns.lookup`, by this server. */
  readonly resolve: Resolve;
  readonly asked: () => number;
}

const HEADER_BYTES = 12;

export async function startNameServer(...addresses: string[]): Promise<NameServer> {
  let asked = 0;
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const given = addresses[Math.min(asked++, addresses.length - 1)];
    // RFC 1035, 4.1: the question comes back, and behind it a record of its name (by a pointer), type A, class IN, no time to live.
    const end = query.indexOf(0, HEADER_BYTES) + 5;
    const header = Buffer.from(query.subarray(0, HEADER_BYTES));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(1, 6);
    header.writeUInt32BE(0, 8);
    const record = Buffer.from([
      0xc0,
      HEADER_BYTES,
      0,
      1,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      4,
      ...given.split('.').map(Number),
    ]);
    socket.send(Buffer.concat([header, query.subarray(HEADER_BYTES, end), record]), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    asked: () => asked,
    resolve: (hostname, _options, callback) =>
      resolver.resolve4(hostname, (error, found) =>
        callback(
          error,
          (found ?? []).map((address) => ({ address, family: 4 })),
        ),
      ),
    async [Symbol.asyncDispose]() {
      resolver.cancel();
      await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
}
