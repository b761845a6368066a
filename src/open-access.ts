import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Callers } from './access/caller.ts';
import { watchKeys } from './access/key-file.ts';
import { NO_QUOTAS, type Quotas, watchQuotas } from './access/quotas.ts';
import { TokenIssuer } from './access/token-issuer.ts';
import { keysOrTokens, Tokens } from './access/tokens.ts';
import type { Config } from './config.ts';
import { naming, type Opened } from './opened.ts';

/** Null without Redis: each process counts requests for itself. */
export async function openRateLimitRedis(
  { redisUrl, quotasFile }: Config,
  log: Logger,
  opened: Opened,
): Promise<Redis | null> {
  if (redisUrl === undefined || quotasFile === undefined) return null;
  // A request is not to wait for a server that is away.
  const redis = new Redis(redisUrl, {
    connectTimeout: 500,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
  });
  redis.on('error', (error) => log.warn({ err: error }, 'requests are not counted'));
  return await opened.add(Promise.resolve(redis), (one) => one.disconnect());
}

/** No limits where the service has no such file. */
export async function openQuotas({ quotasFile }: Config, log: Logger, opened: Opened): Promise<Quotas> {
  if (quotasFile === undefined) return NO_QUOTAS;
  const opening = watchQuotas(quotasFile, (error) =>
    log.error({ err: error }, 'the changed quotas cannot be used; those of before stay'),
  );
  return await opened.add(naming({ QUOTAS_FILE: quotasFile }, opening), (quotas) => quotas.close());
}

/** Null where the service asks for neither keys nor tokens. */
export async function openCallers(config: Config, log: Logger, opened: Opened): Promise<Callers | null> {
  const keys = await openKeys(config, log, opened);
  if (!config.tokens) return keys;
  const issuer = new TokenIssuer({
    url: config.tokens.issuer,
    onError: (error) => log.error({ err: error }, 'OIDC_ISSUER cannot be asked for its keys'),
  });
  // It may well start after this service.
  void issuer.warm();
  return keysOrTokens(keys, new Tokens(issuer, config.tokens));
}

async function openKeys({ apiKeysFile }: Config, log: Logger, opened: Opened): Promise<Callers | null> {
  if (apiKeysFile === undefined) return null;
  const opening = watchKeys(apiKeysFile, (error) =>
    log.error({ err: error }, 'the changed keys cannot be used; those of before stay'),
  );
  return await opened.add(naming({ API_KEYS_FILE: apiKeysFile }, opening), (keys) => keys.close());
}
