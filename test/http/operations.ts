import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { Scope } from '../../src/access/caller.ts';

export interface Operation {
  readonly method: string;
  /** Its parameters in braces. */
  readonly path: string;
  /** Null of one that needs no key. */
  readonly scope: Scope | null;
}

/** What `openapi.yaml` says: a route that is added is looked at by itself. */
export async function readOperations(): Promise<Operation[]> {
  const { paths } = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8'));
  return Object.entries(
    paths as Record<string, Record<string, { security: Record<string, Scope[]>[] }>>,
  ).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { security }]) => ({
      method: method.toUpperCase(),
      path,
      scope: security[0]?.ApiKey?.[0] ?? null,
    })),
  );
}
