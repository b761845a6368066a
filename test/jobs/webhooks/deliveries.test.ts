import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BackendSettings, connectBackend } from '../../../src/jobs/backends/connect.ts';
import type { JobRecord } from '../../../src/jobs/job.ts';
import { writeResult } from '../../../src/jobs/result.ts';
import { openTenants, type TenantServices } from '../../../src/jobs/tenants.ts';
import type { Delivery } from '../../../src/jobs/webhooks/delivery.ts';
import { startDeliveryWorker } from '../../../src/jobs/webhooks/delivery-worker.ts';

import { freshId } from '../../../src/storage/ids.ts';
import { FolderStores } from '../../../src/storage/stores.ts';
import { Destinations } from '../../../src/webhooks/destinations.ts';
import { startPostgres } from '../../services/postgres.ts';
import { startRedis } from '../../services/redis.ts';
import type { Service } from '../../services/service.ts';
import { startReceiver, verified } from '../../webhooks/webhook-receiver.ts';
import { log, request } from '../site.ts';

const HOUR_MS = 3_600_000;
/** More than a process sends at a time. */
const MANY = 120;
/** How long a receiver is waited for. */
const HANGS_MS = 10_000;
const backends: Record<
  string,
  { start?: () => Promise<Service>; settings(url: string): Partial<BackendSettings> }
> = {
  redis: { start: () => startRedis(), settings: (redisUrl) => ({ redisUrl }) },
  postgres: { start: () => startPostgres(), settings: (databaseUrl) => ({ databaseUrl }) },
  embedded: { settings: () => ({}) },
};

/** A job with a webhook that has ended, and of whose end nobody has been told. */
async function ended({ store }: TenantServices, url: string): Promise<string> {
  const id = freshId('job');
  const record: JobRecord = {
    ...{ id, created_at: new Date().toISOString(), ...request({}) },
    ...{ request_sha256: '', webhook: { url } },
  };
  await store.addUntold(id);
  const upload = await store.createUpload();
  await store.publish('jobs', upload, record);
  await writeResult(store, id, { status: 'succeeded', started_at: null });
  return id;
}

for (const [kind, { start, settings }] of Object.entries(backends)) {
  describe(`webhooks on ${kind}`, () => {
    let directory: string;
    let service: Service | undefined;
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), `emp-webhooks-${kind}-`));
      service = await start?.();
    });
    after(async () => {
      await service?.stop();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    });

    /** A process that sends. @param delaysMs pauses between attempts */
    async function open(delaysMs: readonly number[]) {
      await using opened = new AsyncDisposableStack();
      const root = join(directory, 'data');
      const stores = opened.adopt(await FolderStores.open(root), (one) => one.close());
      const connecting = connectBackend({ dataDirectory: root, ...settings(service?.url ?? '') });
      const backend = opened.adopt(await connecting, (one) => one.close());
      const webhooks = { destinations: new Destinations(['127.0.0.1']), delaysMs };
      const opening = openTenants({ stores, backend, log, webhooks });
      const tenants = opened.adopt(await opening, (one) => one.close());
      opened.adopt(await startDeliveryWorker(tenants, backend, log), (one) => one.close());
      const team = await tenants.of('team-a');
      const [{ secret } = await team.webhooks.secrets.create()] = await team.webhooks.secrets.list();
      const kept = opened.move();
      const until = async (id: string, holds: (delivery: Delivery) => boolean) => {
        for (let tries = 0; tries < 500; tries++) {
          const found = (await team.webhooks.list(id))?.find(holds);
          if (found) return found;
          await sleep(20);
        }
        return assert.fail(JSON.stringify(await team.webhooks.list(id)));
      };
      return { tenants, team, secret, until, [Symbol.asyncDispose]: () => kept.disposeAsync() };
    }

    test('are tried again, and a queue that has never heard of one is told', async () => {
      await using receiver = await startReceiver();
      await using site = await open([50, 50]);
      receiver.answer = (_, response) => response.writeHead(receiver.received.length < 3 ? 500 : 204).end();
      const id = await ended(site.team, receiver.url);
      await site.tenants.recover();
      const { id: messageId, attempts } = await site.until(id, ({ status }) => status === 'delivered');
      assert.deepEqual(
        attempts.map(({ status }) => status),
        [500, 500, 204],
      );
      for (const one of receiver.received) {
        assert.equal(one.headers['webhook-id'], messageId);
        assert.equal(verified(site.secret, one).data.id, id);
      }
      for (let tries = 0; (await site.team.store.listUntold()).length > 0; tries++) {
        assert.ok(tries < 100);
        await sleep(20);
      }
    });

    test('wait for their time, whoever dies, and no longer on demand', async () => {
      await using receiver = await startReceiver();
      receiver.answer = (_, response) => response.writeHead(500).end();
      let id: string;
      {
        await using site = await open([HOUR_MS]);
        id = await ended(site.team, receiver.url);
        site.tenants.announce(id, 'team-a');
        await site.until(id, ({ tries }) => tries === 1);
      }
      await using site = await open([HOUR_MS]);
      await site.tenants.recover();
      const [waiting] = (await site.team.webhooks.list(id)) ?? [];
      const pause = Date.parse(waiting.next_attempt_at ?? '') - Date.now();
      assert.ok(pause > 0.7 * HOUR_MS && pause < 1.3 * HOUR_MS, `${pause}`);
      await sleep(200);
      assert.equal(receiver.received.length, 1);
      receiver.answer = (_, response) => response.writeHead(204).end();
      await site.team.webhooks.redeliver(id, waiting.id);
      const told = await site.until(id, ({ status }) => status === 'delivered');
      assert.equal(told.id, waiting.id);
      assert.equal(receiver.received.length, 2);
    });

    test('of a job that is deleted go with it', async () => {
      await using receiver = await startReceiver();
      receiver.answer = (_, response) => response.writeHead(500).end();
      await using site = await open([100]);
      const id = await ended(site.team, receiver.url);
      site.tenants.announce(id, 'team-a');
      await site.until(id, ({ tries }) => tries === 1);
      assert.equal(await site.team.jobs.delete(id), true);
      await sleep(400);
      assert.equal(receiver.received.length, 1);
      assert.deepEqual(await site.team.store.listUntold(), []);
    });

    test('for a receiver that hangs keep those for others waiting for none of them, and all come at the first attempt', async () => {
      const hung: ServerResponse[] = [];
      await using hanging = await startReceiver();
      await using other = await startReceiver();
      await using site = await open([HOUR_MS]);
      hanging.answer = (_, response) => void hung.push(response);
      const team = await Promise.all(Array.from({ length: MANY }, () => ended(site.team, hanging.url)));
      for (const id of team) site.tenants.announce(id, 'team-a');
      const beta = await site.tenants.of('team-b');
      await beta.webhooks.secrets.create();
      await hanging.until(1);
      // Each hangs for ten seconds: those for others come before any of them has ended.
      for (const [of, tenant] of [
        [site.team, 'team-a'],
        [beta, 'team-b'],
      ] as const)
        site.tenants.announce(await ended(of, other.url), tenant);
      await other.until(2, HANGS_MS / 2);
      assert.ok(hung.length < 50, `${hung.length} at a time`);
      hanging.answer = (_, response) => response.writeHead(204).end();
      for (const response of hung) response.writeHead(204).end();
      await hanging.until(MANY, 60_000);
      for (const id of team)
        assert.equal((await site.until(id, ({ status }) => status === 'delivered')).tries, 1);
    });

    test('without a secret wait until there is one', async () => {
      await using receiver = await startReceiver();
      await using site = await open([200, 200, 200]);
      const { secrets } = site.team.webhooks;
      for (const { id } of await secrets.list()) await secrets.remove(id);
      const id = await ended(site.team, receiver.url);
      site.tenants.announce(id, 'team-a');
      const { attempts } = await site.until(id, ({ tries }) => tries === 1);
      assert.match(attempts[0].error ?? '', /no secret/);
      const { secret } = await secrets.create();
      await site.until(id, ({ status }) => status === 'delivered');
      verified(secret, receiver.received[0]);
    });
  });
}
