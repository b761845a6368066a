import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

/** A span as it came. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly durationNs: bigint;
  /** Of the process that sent it. */
  readonly role: unknown;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface Sent extends Omit<ReceivedSpan, 'attributes' | 'durationNs' | 'role'> {
  readonly attributes: readonly Attribute[];
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}
interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly Sent[] }[];
  }[];
}

/** A collector that takes traces by OTLP/HTTP as JSON, and keeps them. */
export async function startReceiver() {
  const spans: ReceivedSpan[] = [];
  const server = createServer(async (request, response) => {
    if (request.url !== '/v1/traces' || request.method !== 'POST') {
      response.writeHead(404).end();
      return;
    }
    const sent =
      request.headers['content-encoding'] === 'gzip'
        ? JSON.parse(gunzipSync(Buffer.concat(await request.toArray())).toString())
        : await json(request);
    for (const { resource, scopeSpans } of (sent as Export).resourceSpans) {
      const role = valuesOf(resource.attributes)['emp.role'];
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
        const durationNs = BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano);
        spans.push({ ...span, attributes: valuesOf(span.attributes), durationNs, role });
      }
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: spans as readonly ReceivedSpan[],
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function valuesOf(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
