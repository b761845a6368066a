import { Gauge, Histogram } from 'prom-client';
import { createMetrics, type ServiceMetrics } from '../../metrics/service-metrics.ts';
import { refuseTenants } from '../refuse-tenants.ts';
import type { App, Services } from '../services.ts';
import { describeOperation } from './operations.ts';

/** Seconds: from a health check to a `Prefer: wait`. */
const DURATION_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60];

/** `GET /metrics`, Prometheus text: requests, the queue, and what a process of any role tells of itself. */
export function registerMetrics(
  app: App,
  { tenants }: Services,
  { register }: ServiceMetrics = createMetrics(),
): void {
  const registers = [register];
  const durations = new Histogram({
    name: 'emp_http_request_duration_seconds',
    help: 'Time from request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS,
    registers,
  });
  // A queue that does not answer leaves its gauges out; it is no reason to lose sight of the process.
  const ask = async () => Object.entries(await tenants.queues.counts().catch(() => ({})));
  // Of the gauges that are collected together, the first asks.
  let asking: ReturnType<typeof ask> | null = null;
  const counts = () => {
    asking ??= ask().finally(() => {
      asking = null;
    });
    return asking;
  };
  new Gauge({
    name: 'emp_queue_jobs',
    help: 'Jobs in the queue by lane and state.',
    labelNames: ['lane', 'state'],
    registers,
    async collect() {
      const lanes = await counts();
      this.reset();
      for (const [lane, { queued, running, retrying }] of lanes)
        for (const [state, count] of Object.entries({ queued, running, retrying }))
          this.set({ lane, state }, count);
    },
  });
  new Gauge({
    name: 'emp_queue_oldest_waiting_seconds',
    help: 'Age of the job that has waited longest in a lane; 0 where none waits.',
    labelNames: ['lane'],
    registers,
    async collect() {
      const lanes = await counts();
      this.reset();
      for (const [lane, { waiting_since }] of lanes)
        this.set({ lane }, Math.max(0, Date.now() - (waiting_since ?? Date.now())) / 1000);
    },
  });

  new Gauge({
    name: 'emp_storage_used_bytes',
    help: 'Bytes of the files of all that is stored, and of what is on its way.',
    registers,
    async collect() {
      // The room on the disk and the readiness tell of a directory that is gone.
      await tenants.usedBytes().then(
        (bytes) => this.set(bytes),
        () => this.remove(),
      );
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
        description: 'For keys of the service itself.',
        ...describeOperation({
          responses: {
            200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
          },
        }),
      },
    },
    async (request, reply) => {
      refuseTenants(request);
      return reply.type(register.contentType).send(await register.metrics());
    },
  );
  app.addHook('onClose', async () => register.clear());
}
