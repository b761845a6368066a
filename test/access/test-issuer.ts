import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose';

import { TokenIssuer } from '../../src/access/token-issuer.ts';
import { Tokens } from '../../src/access/tokens.ts';

export const AUDIENCE = 'https://emp.example.com';

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function createSigningKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Of any type, as what is refused has them too. */
export type Claims = Readonly<Record<string, unknown>>;

/** An issuer of tokens, which answers as those of platforms do. */
export class TestIssuer {
  /** What it signs with, and publishes. */
  readonly key: SigningKey;
  /** What it publishes. */
  published: JWK[];
  /** What its description says otherwise. */
  description: Record<string, unknown> = {};
  /** What it was asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;
  #port = 0;

  constructor(key: SigningKey) {
    this.key = key;
    this.published = [key.publicJwk];
    this.#server = createServer(({ url = '' }, response) => {
      this.asked.push(url);
      const answers: Record<string, object> = {
        '/.well-known/openid-configuration': {
          issuer: this.url,
          jwks_uri: `${this.url}/keys`,
          response_types_supported: ['id_token'],
          ...this.description,
        },
        '/keys': { keys: this.published },
      };
      response.statusCode = url in answers ? 200 : 404;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answers[url] ?? {}));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Begins to answer, where it did before if it did. */
  async open(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** A token of a user of it, for an hour. Claims that are undefined are left out. */
  async sign(
    claims: Claims = {},
    key: Pick<SigningKey, 'alg' | 'kid'> & { readonly privateKey: CryptoKey | Uint8Array } = this.key,
    header: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: this.url, aud: AUDIENCE, sub: 'ci', iat: now, exp: now + 3600, ...claims };
    const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    return await new SignJWT(given)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header } as JWTHeaderParameters)
      .sign(key.privateKey);
  }
}

export async function openTestIssuer(t: TestContext): Promise<TestIssuer> {
  const issuer = new TestIssuer(await createSigningKey('first'));
  await issuer.open();
  t.after(() => issuer.close());
  return issuer;
}

/** As GitHub Actions signs them for a job: of every claim that its documentation lists. */
export function githubClaims(): Claims {
  const now = Math.floor(Date.now() / 1000);
  return {
    jti: 'a1b2c3d4-0000-0000-0000-000000000000',
    sub: 'repo:Octo-Org/octo-repo:ref:refs/heads/main',
    ref: 'refs/heads/main',
    ref_protected: 'true',
    ref_type: 'branch',
    sha: '0'.repeat(40),
    repository: 'Octo-Org/octo-repo',
    repository_id: '74',
    repository_owner: 'Octo-Org',
    repository_owner_id: '65',
    repository_visibility: 'private',
    run_id: '30433642',
    run_number: '10',
    run_attempt: '2',
    runner_environment: 'github-hosted',
    actor: 'octocat',
    actor_id: '12',
    workflow: 'prune',
    workflow_ref: 'Octo-Org/octo-repo/.github/workflows/prune.yml@refs/heads/main',
    workflow_sha: '0'.repeat(40),
    job_workflow_ref: 'Octo-Org/octo-repo/.github/workflows/prune.yml@refs/heads/main',
    job_workflow_sha: '0'.repeat(40),
    head_ref: '',
    base_ref: '',
    event_name: 'push',
    nbf: now - 300,
    iat: now,
    exp: now + 300,
  };
}

/** What an issuer's tokens are taken by, which name tenant and scope. @param cooldownMs how soon one that was away is asked again */
export function tokensOf(issuer: TestIssuer, cooldownMs = 30_000): Tokens {
  const asked = new TokenIssuer({ url: issuer.url, cooldownMs, onError: () => {} });
  return new Tokens(asked, {
    issuer: issuer.url,
    audience: AUDIENCE,
    tenantClaim: 'tenant',
    scopeClaim: 'scope',
    scopes: [],
    tenants: null,
  });
}
