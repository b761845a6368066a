import type { Tracing } from './tracing.ts';

/** Loads what makes traces only where they are asked for: without an endpoint it costs nothing. */
export async function openTracing(endpoint: string | undefined, role: string): Promise<Tracing | null> {
  if (endpoint === undefined) return null;
  return (await import('./otlp-tracing.ts')).openOtlpTracing(endpoint, role);
}
