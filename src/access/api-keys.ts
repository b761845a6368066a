import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { type Caller, SCOPES, tenantNameSchema } from './caller.ts';

const MAX_NAME = 100;
export const keyNameSchema = z
  .string()
  .regex(/^[\w.@-]+$/, 'must be of letters, digits, dots, dashes, underscores and @')
  .max(MAX_NAME, `must have at most ${MAX_NAME} characters`);

const keySchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{12}$/, 'must be 12 hexadecimal digits'),
  name: keyNameSchema,
  /** Not there for the root of the service, as in files of before there were tenants. */
  tenant: tenantNameSchema.optional(),
  scopes: z.array(z.enum(SCOPES)).min(1),
  /** Of the whole key. It has 256 random bits: no slower hash would make it harder to guess. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  created_at: z.iso.datetime(),
});

export const keyFileSchema = z.strictObject({
  keys: z
    .array(keySchema)
    .refine((keys) => new Set(keys.map(({ name }) => name)).size === keys.length, 'has a name twice')
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'has an id twice'),
});

/** A key as a file keeps it: not the key itself. */
export type StoredKey = z.output<typeof keySchema>;

/** Those who may use the service by a key. */
export interface Keys {
  /** Whose key that is; null for nobody's. */
  find(text: string): Caller | null;
}

/** Whether a text means to be a key. */
export function isKey(text: string): boolean {
  return text.startsWith('emp_');
}

const KEY = /^emp_([0-9a-f]{12})_[\w-]{43}$/;
const SECRET_BYTES = 32;
const ID_BYTES = 6;
/** Of no key: what is unknown costs as long as what is wrong. */
const NO_HASH = Buffer.alloc(32);

/** A new key, and what is kept of it. */
export function createKey({ name, tenant, scopes }: Caller): { text: string; stored: StoredKey } {
  const id = randomBytes(ID_BYTES).toString('hex');
  const text = `emp_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const sha256 = hashOf(text).toString('hex');
  const owner = { name, ...(tenant !== null && { tenant }) };
  return {
    text,
    stored: { id, ...owner, scopes: [...scopes], sha256, created_at: new Date().toISOString() },
  };
}

/** Keys to look callers up in. */
export class KeyRing implements Keys {
  readonly #keys: ReadonlyMap<string, { readonly caller: Caller; readonly hash: Buffer }>;

  constructor(keys: readonly StoredKey[]) {
    this.#keys = new Map(
      keys.map(({ id, name, tenant = null, scopes, sha256 }) => [
        id,
        { caller: { name, tenant, scopes }, hash: Buffer.from(sha256, 'hex') },
      ]),
    );
  }

  /** It takes as long for every text: what it is told by is a hash, compared in constant time. */
  find(text: string): Caller | null {
    const key = this.#keys.get(KEY.exec(text)?.[1] ?? '');
    const isRight = timingSafeEqual(hashOf(text), key?.hash ?? NO_HASH);
    return key && isRight ? key.caller : null;
  }
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
