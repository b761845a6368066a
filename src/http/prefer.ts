/** A connection is not held longer, whatever was asked for: proxies give up at about a minute. */
export const MAX_WAIT_SECONDS = 60;

/** Seconds to wait for the result that `Prefer: wait=30` asks for (RFC 7240), capped; null where it asks for none. */
export function parsePreferWait(header: string | string[] | undefined): number | null {
  for (const preference of [header ?? []].flat().join(',').split(',')) {
    const match = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?$/i.exec(preference);
    if (match) return Math.min(Number(match[1]), MAX_WAIT_SECONDS);
  }
  return null;
}
