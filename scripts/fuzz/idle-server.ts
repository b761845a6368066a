/** A server with nothing to do: how long its answers take is what the machine adds to those of any other. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((_request, response) => response.end('{}'));
server.listen(Number(process.env.PORT), process.env.HOST, () => {
  console.log(`listening on http://${process.env.HOST}:${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => process.exit(0));
