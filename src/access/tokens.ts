import { decodeJwt, errors, type JWTVerifyResult, jwtVerify } from 'jose';
import { EmpError } from '../core/errors.ts';
import { isKey } from './api-keys.ts';
import type { Caller, Callers } from './caller.ts';
import { callerOf } from './token-claims.ts';
import type { TokenIssuer } from './token-issuer.ts';
import type { TokenSettings } from './token-settings.ts';

/** Those that sign with what only the issuer has. By others (`none`, HS256) whoever knows its public key could sign. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** Kinds that let somebody in (RFC 9068, RFC 7519); others say that somebody has logged out, for one. */
const TYPES = ['jwt', 'at+jwt'];
const CLOCK_TOLERANCE_SECONDS = 30;

/** Told of everything that has no good signature: which of the reasons it is, is nobody's business. */
const NOT_SIGNED =
  'this token is not signed by the issuer of this service with a key of today: get a new one';

/** Those who may use the service by a token of its issuer. */
export class Tokens {
  readonly #issuer: TokenIssuer;
  readonly #settings: TokenSettings;

  constructor(issuer: TokenIssuer, settings: TokenSettings) {
    this.#issuer = issuer;
    this.#settings = settings;
  }

  /** @throws EmpError `unauthorized` for what is no token of today, `forbidden` for one that lets nobody in, `not_ready` where that cannot be told */
  async find(text: string): Promise<Caller> {
    const { payload } = await this.#verify(text);
    return callerOf(payload, this.#settings);
  }

  async #verify(text: string): Promise<JWTVerifyResult> {
    const { issuer, audience } = this.#settings;
    if (text.split('.').length !== 3)
      throw unauthorized('this is neither a key nor a token: a token has three parts with dots between');
    // Nobody is asked for a key because of what is not even said to be of the issuer.
    if (issuerOf(text) !== issuer) throw unauthorized(NOT_SIGNED);
    const verified = await jwtVerify(text, this.#issuer.keyOf, {
      algorithms: ALGORITHMS,
      issuer,
      audience,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['exp', 'sub'],
    }).catch((error: unknown) => {
      throw error instanceof errors.JOSEError ? refusalOf(error) : error;
    });
    const type = verified.protectedHeader.typ?.toLowerCase().replace(/^application\//, '') ?? 'jwt';
    if (!TYPES.includes(type)) throw unauthorized('this token is of a kind that lets nobody in');
    return verified;
  }
}

/** Who a token says that it is of, which is not to be believed yet. */
function issuerOf(text: string): unknown {
  try {
    return decodeJwt(text).iss;
  } catch {
    return undefined;
  }
}

/** What is said of a token: of its claims only once they are known to be the issuer's. */
function refusalOf(error: errors.JOSEError): EmpError {
  if (error instanceof errors.JWTExpired) return unauthorized('this token has expired: get a new one');
  if (!(error instanceof errors.JWTClaimValidationFailed)) return unauthorized(NOT_SIGNED);
  if (error.reason !== 'check_failed')
    return unauthorized(`the claim ${error.claim} of this token is missing, or of the wrong type`);
  return unauthorized(
    error.claim === 'nbf'
      ? 'this token is not valid yet: wait, or compare the clocks of issuer and service'
      : 'this token is for another audience: ask the issuer for one for this service',
  );
}

function unauthorized(message: string): EmpError {
  return new EmpError('unauthorized', message);
}

/** Those who may use the service by either. @param keys null where it has none */
export function keysOrTokens(keys: Callers | null, tokens: Tokens): Callers {
  return {
    async find(text) {
      if (!isKey(text)) return await tokens.find(text);
      if (keys) return await keys.find(text);
      throw unauthorized('this service takes no keys: send a token of its issuer');
    },
  };
}
