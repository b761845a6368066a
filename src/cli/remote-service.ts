import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Service } from './api-client.ts';
import { EXIT, Refusal } from './refusal.ts';

/**
 * A server that answers over HTTP.
 * @param apiKey is sent as a bearer token, to this server alone
 * @throws Refusal for an address that is none
 */
export async function openRemoteService(
  server: string,
  apiKey: string | undefined,
): Promise<Service & AsyncDisposable> {
  if (!/^https?:\/\//.test(server) || !URL.canParse(server))
    throw new Refusal(EXIT.badInput, `--server ${server} must be a URL that starts with http:// or https://`);
  const base = server.replace(/\/+$/, '');
  const scratch = await mkdtemp(join(tmpdir(), 'emp-cli-'));
  return {
    scratch,
    isLocal: false,
    async fetch(path, init = {}) {
      const headers = new Headers(init.headers);
      if (apiKey) headers.set('authorization', `Bearer ${apiKey}`);
      try {
        return await fetch(`${base}${path}`, { ...init, headers, redirect: 'error' });
      } catch (error) {
        if (init.signal?.aborted || !(error instanceof TypeError)) throw error;
        const reason = error.cause instanceof Error ? error.cause.message : error.message;
        throw new Refusal(EXIT.fault, `${server} does not answer: ${reason}`);
      }
    },
    [Symbol.asyncDispose]: () => rm(scratch, { recursive: true, force: true }),
  };
}
