import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../src/jobs/backends/backend.ts';
import { connectBackend } from '../../src/jobs/backends/connect.ts';
import { FolderStores } from '../../src/storage/stores.ts';
import { startRedis } from '../services/redis.ts';

/** What tenants are opened on. */
export interface OpenStack {
  readonly directory: string;
  readonly stores: FolderStores;
  /** To the queue of all; as each process has its own. */
  connect(): Promise<Backend>;
}

/** A data directory, and a Redis of its own: closed and removed with what is given. */
export async function openStack(opened: AsyncDisposableStack): Promise<OpenStack> {
  const redis = await startRedis();
  opened.defer(() => redis.stop());
  const directory = await mkdtemp(join(tmpdir(), 'emp-stack-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const stores = opened.adopt(await FolderStores.open(directory), (one) => one.close());
  const connect = async () =>
    opened.adopt(await connectBackend({ dataDirectory: directory, redisUrl: redis.url }), (one) =>
      one.close(),
    );
  return { directory, stores, connect };
}
