import { setTimeout as sleep } from 'node:timers/promises';
import { FastifyOtelInstrumentation } from '@fastify/otel';
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { BullMQOtel } from 'bullmq-otel';
import packageJson from '../../package.json' with { type: 'json' };
import type { AttemptWatcher } from '../jobs/watch-attempts.ts';
import type { Tracing } from './tracing.ts';

const NAME = packageJson.name;
/** A collector that is away must not hold up a process that ends. */
const CLOSE_MS = 2000;
/** Asked every few seconds, by programs. */
const UNTRACED_PATHS: readonly string[] = ['/healthz', '/readyz', '/metrics'];
/** What BullMQ does all the time, whoever's context its timers were started in. */
const HOUSEKEEPING = /^(extendLocks|moveStalledJobsToWait|startStalledCheckTimer|getNextJob) /;

/**
 * Sends traces to a collector by OTLP over HTTP, as JSON.
 * @param endpoint as `OTEL_EXPORTER_OTLP_ENDPOINT` names it, without the path of traces
 * @param role of this process
 */
export function openOtlpTracing(endpoint: string, role: string): Tracing {
  const url = new URL('v1/traces', endpoint.endsWith('/') ? endpoint : `${endpoint}/`).href;
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': NAME,
        'service.version': packageJson.version,
        'emp.role': role,
      }),
    ),
    sampler: withoutHousekeeping(),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  const queue = new BullMQOtel({ tracerName: NAME, version: packageJson.version });
  // Loops that BullMQ starts in a span would otherwise run in it for ever.
  const contextManager = Object.assign(queue.contextManager, { root: () => ROOT_CONTEXT });
  return {
    telemetry: { tracer: queue.tracer, contextManager },
    attempts: traceAttempts(),
    traceRequests(app) {
      const requests = new FastifyOtelInstrumentation({
        instrumentHooks: false,
        instrumentHandler: false,
        recordExceptions: false,
        ignorePaths: ({ url: path }) => UNTRACED_PATHS.includes(path),
        requestHook: (span, { id, method, routeOptions }) => {
          span.updateName(`${method} ${routeOptions.url ?? 'none'}`);
          span.setAttribute('emp.request_id', id);
        },
      });
      requests.setTracerProvider(provider);
      app.register(requests.plugin());
    },
    logFields() {
      const span = trace.getActiveSpan();
      return span ? { trace_id: span.spanContext().traceId } : {};
    },
    async close() {
      const over = new AbortController();
      const patience = sleep(CLOSE_MS, undefined, { signal: over.signal }).catch(() => {});
      await Promise.race([provider.shutdown().catch(() => {}), patience]);
      over.abort();
    },
  };
}

/** Whoever began a trace decides whether it is recorded; here all are that a request or a job begins. */
function withoutHousekeeping(): Sampler {
  const begun: Sampler = {
    shouldSample: (_context, _traceId, _name, kind) => ({
      decision:
        kind === SpanKind.INTERNAL ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED,
    }),
  };
  const parentBased = new ParentBasedSampler({ root: begun });
  return {
    shouldSample: (given, traceId, name, ...rest) =>
      HOUSEKEEPING.test(name)
        ? { decision: SamplingDecision.NOT_RECORD }
        : parentBased.shouldSample(given, traceId, name, ...rest),
  };
}

/**
 * A child has neither a network nor credentials, and what was killed could not send its spans: the worker makes them of what the child says as it
 * goes.
 */
function traceAttempts(): AttemptWatcher {
  const tracer = trace.getTracer(NAME, packageJson.version);
  return {
    begin({ id, name, data: { request_id } }) {
      const parent = context.active();
      const attributes = {
        'emp.job': id,
        'emp.task': name,
        ...(request_id !== undefined && { 'emp.request_id': request_id }),
      };
      const attempt = tracer.startSpan('attempt', { attributes }, parent);
      const inAttempt = trace.setSpan(parent, attempt);
      const begin = (stage: string) =>
        tracer.startSpan(`stage ${stage}`, { attributes: { 'emp.job': id, 'emp.stage': stage } }, inAttempt);
      let current: ReturnType<typeof begin> | undefined;
      return {
        traceId: attempt.spanContext().traceId,
        entered(stage) {
          current?.end();
          current = begin(stage);
        },
        lostChild({ message }, reason) {
          attempt.addEvent('child ended', {
            message,
            ...(reason !== undefined && { reason: String(reason) }),
          });
          current?.setStatus({ code: SpanStatusCode.ERROR });
        },
        ended({ how }) {
          current?.end();
          attempt.setAttribute('emp.end', how);
          if (how === 'failed') attempt.setStatus({ code: SpanStatusCode.ERROR });
          attempt.end();
        },
      };
    },
  };
}
