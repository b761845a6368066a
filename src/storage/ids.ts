import { createHash, randomBytes } from 'node:crypto';
import type { StoredRecord } from './store.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

function base32(value: bigint, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++, value >>= 5n) text = ALPHABET[Number(value & 31n)] + text;
  return text;
}

/** An id that names content: the same files under the same names give the same id. 130 bits of SHA-256. */
export function contentId(prefix: 'mdl' | 'dat' | 'msg', manifest: string): string {
  const digest = createHash('sha256').update(manifest).digest('hex');
  return `${prefix}_${base32(BigInt(`0x${digest}`) >> 126n, 26)}`;
}

/** A fresh id that sorts by the time of its making: 50 bits of milliseconds, 80 random ones. */
export function freshId(prefix: 'job' | 'sea' | 'whs'): string {
  const random = BigInt(`0x${randomBytes(10).toString('hex')}`);
  return `${prefix}_${base32((BigInt(Date.now()) << 80n) | random, 26)}`;
}

/** When a fresh id was made, in milliseconds. */
export function timeOfId(id: string): number {
  // Ten letters of five bits behind the prefix.
  return [...id.slice(4, 14)].reduce((ms, letter) => 32 * ms + ALPHABET.indexOf(letter), 0);
}

/** Ids become names of folders: nothing that a path could be made of. */
export function isId(id: string): boolean {
  return /^[a-z]{3}_[a-z0-9]{10,40}$/.test(id);
}

/** The `next_cursor` of a page that ends with this record. */
export function cursorAfter({ created_at, id }: StoredRecord): string {
  return Buffer.from(`${created_at} ${id}`).toString('base64url');
}

/** The time and id of the record that a page ended with; null for a text that is no cursor. */
export function parseCursor(text: string): StoredRecord | null {
  const [created_at = '', id = '', ...rest] = Buffer.from(text, 'base64url').toString().split(' ');
  return Number.isNaN(Date.parse(created_at)) || !isId(id) || rest.length > 0 ? null : { created_at, id };
}
