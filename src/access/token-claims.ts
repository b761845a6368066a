import type { JWTPayload } from 'jose';
import { clip } from '../core/clip.ts';
import { EmpError } from '../core/errors.ts';
import { type Caller, SCOPES, type Scope, tenantNameSchema } from './caller.ts';

/** Which claims of a token say for whom it is, and what it allows. */
export interface ClaimRules {
  readonly tenantClaim: string;
  readonly scopeClaim: string;
  /** What tokens without that claim allow; without any they are refused. */
  readonly scopes: readonly Scope[];
  /** The tenants that are let in; null: all that the issuer names. */
  readonly tenants: readonly string[] | null;
}

/** Of a name in a log. */
const MAX_NAME = 100;
const MAX_SHOWN = 100;

/** Who sent a token, by its claims once they are verified. @throws EmpError `forbidden` for claims that let nobody in */
export function callerOf(claims: JWTPayload, rules: ClaimRules): Caller {
  return {
    name: clip(String(claims.sub), MAX_NAME),
    tenant: tenantOf(claims, rules),
    scopes: scopesOf(claims, rules),
  };
}

/**
 * A token is always of a tenant. Its name is taken to the letter: lower-casing, or a rule for other characters, would make one tenant of two that the issuer
 * tells apart.
 */
function tenantOf(claims: JWTPayload, { tenantClaim, tenants }: ClaimRules): string {
  const value = claims[tenantClaim];
  if (value === undefined)
    throw new EmpError('forbidden', `this token has no claim ${tenantClaim}, which would name its tenant`);
  const parsed = tenantNameSchema.safeParse(value);
  const shown = clip(JSON.stringify(value), MAX_SHOWN);
  if (!parsed.success) {
    const wanted = typeof value === 'string' ? parsed.error.issues[0].message : 'must be a string';
    throw new EmpError(
      'forbidden',
      `the claim ${tenantClaim} of this token, ${shown}, names no tenant: it ${wanted}`,
    );
  }
  if (tenants !== null && !tenants.includes(parsed.data))
    throw new EmpError('forbidden', `the tenant of this token, ${shown}, is none that this service lets in`);
  return parsed.data;
}

/** A list, or words with spaces between (RFC 6749, 3.3). Issuers that serve many services write `emp:read`. What is of other services is passed over. */
function scopesOf(claims: JWTPayload, { scopeClaim, scopes }: ClaimRules): readonly Scope[] {
  const value = claims[scopeClaim];
  if (value === undefined && scopes.length > 0) return scopes;
  const words: unknown[] = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
  const named = SCOPES.filter((scope) => words.includes(scope) || words.includes(`emp:${scope}`));
  if (named.length > 0) return named;
  const lack = value === undefined ? `no claim ${scopeClaim}` : `none of these in its claim ${scopeClaim}`;
  throw new EmpError(
    'forbidden',
    `a token must allow ${SCOPES.join(', ')}, or some of them: this has ${lack}`,
  );
}
