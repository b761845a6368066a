import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The heavier golden fixtures, kept beside the repository and not part of it; null where they are absent. */
export function sharedFixtures(): string | null {
  const path = fileURLToPath(new URL('../../shared/fixtures', import.meta.url));
  return existsSync(path) ? path : null;
}
