/** A server that lets a request do to it what none may do to the service; each path is a fault. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';

const held: Buffer[] = [];

const FAULTS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '/blocks': (response) => {
    const end = performance.now() + 1500;
    while (performance.now() < end);
    response.end();
  },
  '/holds': (response) => {
    held.push(Buffer.alloc(200 * 2 ** 20, 1));
    response.end();
  },
  '/burns': (response) => {
    // In a thread, where it holds up no answer.
    const burn = 'const end = process.cpuUsage().user + 1e6; while (process.cpuUsage().user < end);';
    new Worker(burn, { eval: true }).on('exit', () => response.end());
  },
  '/fails': (response) => response.writeHead(500).end('a stack'),
  '/repeats': (response) => response.end(Buffer.alloc(20 * 2 ** 20, 'a')),
  '/ignores': () => {},
};

const server = createServer((request, response) => {
  const fault = FAULTS[request.url ?? ''];
  request.resume().on('end', () => (fault ? fault(response) : response.end('{}')));
});
server.listen(Number(process.env.PORT), process.env.HOST, () => {
  console.log(`listening on http://${process.env.HOST}:${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => process.exit(0));
