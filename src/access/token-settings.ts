import { z } from 'zod';
import { SCOPES, type Scope, tenantNameSchema } from './caller.ts';
import { isTrustedUrl } from './loopback.ts';
import type { ClaimRules } from './token-claims.ts';

/** Whose tokens are taken, for whom they must be, and what they say. */
export interface TokenSettings extends ClaimRules {
  readonly issuer: string;
  readonly audience: string;
}

/** What the environment says of tokens. */
interface TokenEnvironment {
  readonly OIDC_ISSUER?: string | undefined;
  readonly OIDC_AUDIENCE?: string | undefined;
  readonly OIDC_TENANT_CLAIM: string;
  readonly OIDC_SCOPE_CLAIM: string;
  readonly OIDC_SCOPES?: readonly Scope[] | undefined;
  readonly OIDC_TENANTS?: readonly string[] | null | undefined;
}

/** It is compared to the letter, and joined with a path. */
export const issuerSchema = z.string().refine((text) => isTrustedUrl(text) && !/[?#]/.test(text), {
  message: 'must be a URL that begins with https://, or http:// on this machine, without query or password',
});

const listed = (text: string) => text.split(',').map((name) => name.trim());

export const scopesSchema = z
  .string()
  .transform(listed)
  .pipe(z.array(z.enum(SCOPES, { error: `must list some of ${SCOPES.join(', ')}, separated by commas` })));

/** Null: all. */
export const tenantsSchema = z
  .string()
  .transform((text) => (text === '*' ? null : listed(text)))
  .pipe(z.array(tenantNameSchema).nullable());

/** What of these settings goes with what. */
export function checkTokenSettings(settings: TokenEnvironment, context: z.RefinementCtx): void {
  const refuse = (name: keyof TokenEnvironment, message: string) =>
    context.addIssue({ code: 'custom', path: [name], message });
  const { OIDC_ISSUER, OIDC_AUDIENCE, OIDC_SCOPES, OIDC_TENANTS } = settings;
  if (OIDC_ISSUER === undefined)
    for (const [name, value] of Object.entries({ OIDC_AUDIENCE, OIDC_SCOPES, OIDC_TENANTS }))
      if (value !== undefined)
        refuse(name as keyof TokenEnvironment, 'is set without OIDC_ISSUER, whose tokens it is about');
  if (OIDC_ISSUER !== undefined && OIDC_AUDIENCE === undefined)
    refuse('OIDC_AUDIENCE', 'must be set beside OIDC_ISSUER: its tokens for this service have that as aud');
  // A scope tells that the issuer means this user. Without, it may sign for everyone, as those of public platforms do.
  if (OIDC_SCOPES !== undefined && OIDC_TENANTS === undefined)
    refuse('OIDC_TENANTS', 'must be set beside OIDC_SCOPES: the tenants who are given these, or * for all');
}

/** Undefined where no tokens are taken. */
export function tokenSettingsOf(settings: TokenEnvironment): TokenSettings | undefined {
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience } = settings;
  if (issuer === undefined || audience === undefined) return undefined;
  return {
    issuer,
    audience,
    tenantClaim: settings.OIDC_TENANT_CLAIM,
    scopeClaim: settings.OIDC_SCOPE_CLAIM,
    scopes: settings.OIDC_SCOPES ?? [],
    tenants: settings.OIDC_TENANTS ?? null,
  };
}
