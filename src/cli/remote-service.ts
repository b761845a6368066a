import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Service } from './api-client.ts';
import { EXIT, Refusal } from './refusal.ts';

const healthSchema = z.object({ status: z.literal('ok') });

/**
 * A server that answers over HTTP.
 * @param apiKey is sent as a bearer token, to this server alone
 * @throws Refusal for an address that is none, and a server that is not this service
 */
export async function openRemoteService(
  server: string,
  apiKey: string | undefined,
): Promise<Service & AsyncDisposable> {
  if (!/^https?:\/\//.test(server) || !URL.canParse(server))
    throw new Refusal(EXIT.badInput, `--server ${server} must be a URL that starts with http:// or https://`);
  const base = server.replace(/\/+$/, '');
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (apiKey) headers.set('authorization', `Bearer ${apiKey}`);
    try {
      return await fetch(`${base}${path}`, { ...init, headers, redirect: 'error' });
    } catch (error) {
      if (init.signal?.aborted || !(error instanceof TypeError)) throw error;
      const reason = error.cause instanceof Error ? error.cause.message : error.message;
      throw new Refusal(EXIT.fault, `${server} does not answer: ${reason}`);
    }
  };
  const health = await ask('/healthz');
  // Something in front may want a key here too: the first request tells.
  if (health.ok && !healthSchema.safeParse(await health.json().catch(() => null)).success)
    throw new Refusal(EXIT.fault, `${server} answers, but not as this service does: is the address right?`);
  const scratch = await mkdtemp(join(tmpdir(), 'emp-cli-'));
  return {
    scratch,
    isLocal: false,
    fetch: ask,
    [Symbol.asyncDispose]: () => rm(scratch, { recursive: true, force: true }),
  };
}
