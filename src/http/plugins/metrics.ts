import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { App, Services } from '../services.ts';
import { describeOperation } from './operations.ts';

/** Seconds: from a health check to a `Prefer: wait`. */
const DURATION_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60];

/** `GET /metrics`, Prometheus text: requests, jobs by status, and the process. */
export function registerMetrics(app: App, { tenants }: Services): void {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const durations = new Histogram({
    name: 'emp_http_request_duration_seconds',
    help: 'Time from request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS,
    registers: [register],
  });
  new Gauge({
    name: 'emp_jobs',
    help: 'Jobs by lane and status, as the queue counts them.',
    labelNames: ['lane', 'status'],
    registers: [register],
    async collect() {
      // A queue that does not answer leaves the gauge out; it is no reason to lose sight of the process.
      this.reset();
      const counts = await tenants.queues.counts().catch(() => ({}));
      for (const [lane, ofLane] of Object.entries(counts))
        for (const [status, count] of Object.entries(ofLane)) this.set({ lane, status }, count);
    },
  });

  app.addHook('onResponse', async (request, reply) => {
    const labels = {
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status: reply.statusCode,
    };
    durations.observe(labels, reply.elapsedTime / 1000);
  });
  app.get(
    '/metrics',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['service'],
        operationId: 'getMetrics',
        summary: 'Prometheus metrics',
        ...describeOperation({
          responses: {
            200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
          },
        }),
      },
    },
    async (_request, reply) => reply.type(register.contentType).send(await register.metrics()),
  );
  app.addHook('onClose', async () => register.clear());
}
