import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
  jwksCache,
  type RemoteJWKSet,
} from 'jose';
import { z } from 'zod';
import { EmpError } from '../core/errors.ts';
import { isTrustedUrl } from './loopback.ts';

/** For each answer of the issuer: whoever sent a token waits for it. */
const TIMEOUT_MS = 5000;
/** Between two looks for a key that a token names and the issuer had not, or could not be asked for: anyone can name one. */
const COOLDOWN_MS = 30_000;
/** So long a key counts that the issuer has taken back. */
const MAX_AGE_MS = 600_000;

const MIN_RSA_BITS = 2048;

/** What is read of an issuer's description (OpenID Connect Discovery 1.0, 4.2). */
const descriptionSchema = z.object({
  issuer: z.string(),
  jwks_uri: z.string().refine(isTrustedUrl, 'must begin with https://'),
});

export interface TokenIssuerOptions {
  /** Its name, to the letter, and where it is asked. */
  readonly url: string;
  readonly cooldownMs?: number;
  /** Hears why the issuer could not be asked. */
  onError(error: unknown): void;
}

/** Who signs tokens: its keys, as it publishes them. */
export class TokenIssuer {
  readonly #options: TokenIssuerOptions;
  /** Null before they were looked for, and after that failed. */
  #keys: Promise<RemoteJWKSet> | null = null;
  /** What it has published, which jose keeps here: whoever names another key must not have these forgotten. */
  readonly #published: JWKSCacheInput = {};
  /** It is not asked before, as it could not be. */
  #awayUntil = Number.NEGATIVE_INFINITY;

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  /** The key that a token names. @throws what jose says of one that the issuer does not have; EmpError `not_ready` where it cannot be asked */
  readonly keyOf: JWTVerifyGetKey = async (header, token) => {
    try {
      if (performance.now() >= this.#awayUntil)
        return await this.#ask(async (keys) => checkStrength(await keys(header, token)));
    } catch (error) {
      if (!(error instanceof EmpError)) throw error;
    }
    const { jwks, uat = 0 } = this.#published;
    if (jwks === undefined || Date.now() >= uat + MAX_AGE_MS) throw notReady();
    try {
      return checkStrength(await createLocalJWKSet(jwks)(header, token));
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      // It may have the key by now.
      throw notReady();
    }
  };

  /** Asks for the keys before a token comes, so that a wrong setting is heard of at once. */
  async warm(): Promise<void> {
    await this.#ask((keys) => keys.reload()).catch(() => {});
  }

  async #ask<T>(question: (keys: RemoteJWKSet) => Promise<T>): Promise<T> {
    this.#keys ??= findKeys(this.#options, this.#published);
    const keys = this.#keys;
    try {
      return await question(await keys);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        throw error;
      // Those who asked with it hear the same.
      if (this.#keys === keys) this.#beAway(error);
      throw notReady();
    }
  }

  #beAway(error: unknown): void {
    const { cooldownMs = COOLDOWN_MS, onError } = this.#options;
    // They may be elsewhere by then.
    this.#keys = null;
    this.#awayUntil = performance.now() + cooldownMs;
    onError(error);
  }
}

function notReady(): EmpError {
  return new EmpError('not_ready', 'the issuer of tokens cannot be asked for its keys now; try again');
}

/** jose refuses short keys too, but as if this service had chosen them. */
function checkStrength(key: CryptoKey): CryptoKey {
  const { modulusLength = MIN_RSA_BITS } = key.algorithm as { modulusLength?: number };
  if (modulusLength >= MIN_RSA_BITS) return key;
  throw new Error(`the issuer signs with a key of ${modulusLength} bits: ${MIN_RSA_BITS} are needed`);
}

/** Where the issuer says that its keys are. */
async function findKeys(
  { url, cooldownMs = COOLDOWN_MS }: TokenIssuerOptions,
  published: JWKSCacheInput,
): Promise<RemoteJWKSet> {
  const place = `${url.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(place, { redirect: 'error', headers: { accept: 'application/json' }, signal });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${place} answers ${response.status}`);
  }
  const { issuer, jwks_uri } = descriptionSchema.parse(await response.json());
  if (issuer !== url)
    throw new Error(`${place} is of the issuer ${JSON.stringify(issuer)}: OIDC_ISSUER must be the same text`);
  return createRemoteJWKSet(new URL(jwks_uri), {
    timeoutDuration: TIMEOUT_MS,
    cooldownDuration: cooldownMs,
    cacheMaxAge: MAX_AGE_MS,
    [jwksCache]: published,
  });
}
