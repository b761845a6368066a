import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { checkRequest } from './request-guard.ts';
import { ServedHosts } from './served-hosts.ts';

/** A scrape is a line and some headers. */
const HEADERS_MS = 5000;
const MAX_CONNECTIONS = 20;

export interface MetricsPort {
  close(): Promise<void>;
}

interface MetricsPortSettings {
  readonly host: string;
  /** None is opened without one. */
  readonly metricsPort: number | undefined;
  readonly allowedHosts: readonly string[];
}

/** Serves `GET /metrics`, and nothing else, on a port of its own: a worker has no other, and a scraper no key. */
export async function openMetricsPort(
  register: Registry,
  { host, metricsPort: port, allowedHosts }: MetricsPortSettings,
): Promise<MetricsPort> {
  if (port === undefined) return { close: async () => {} };
  const hosts = new ServedHosts(host, allowedHosts);
  const server = createServer(
    { headersTimeout: HEADERS_MS, requestTimeout: HEADERS_MS },
    (request, response) => {
      answer(register, hosts, request, response).catch(() => response.destroy());
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.listen({ host, port });
  await once(server, 'listening');
  return {
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function answer(
  register: Registry,
  hosts: ServedHosts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = (status: number) => response.writeHead(status, { 'content-length': 0 }).end();
  try {
    checkRequest(request, hosts);
  } catch {
    return void refuse(421);
  }
  if (request.url !== '/metrics') return void refuse(404);
  if (request.method !== 'GET' && request.method !== 'HEAD') return void refuse(405);
  response.writeHead(200, { 'content-type': register.contentType, 'cache-control': 'no-store' });
  response.end(await register.metrics());
}
