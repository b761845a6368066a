import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { WebhookSecrets } from '../../src/webhooks/secrets.ts';

describe('the secrets of a tenant', () => {
  let root: string;
  let store: FolderStore;
  let secrets: WebhookSecrets;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'emp-secrets-'));
    store = await FolderStore.open(root);
    secrets = new WebhookSecrets(store);
  });
  afterEach(async () => {
    await store.close();
    await rm(root, { recursive: true });
  });

  test('are two at most, and one may take the place of one that is gone', async () => {
    assert.deepEqual(await secrets.list(), []);
    const first = await secrets.create();
    const second = await secrets.create();
    await assert.rejects(secrets.create(), { code: 'conflict', message: /delete the one/ });
    assert.deepEqual(new Set(await secrets.list()), new Set([first, second]));
    assert.equal(await secrets.remove(first.id), true);
    assert.equal(await secrets.remove(first.id), false);
    const third = await secrets.create();
    assert.deepEqual(new Set(await secrets.list()), new Set([second, third]));
  });

  test('are two however many ask at once, and whoever was given one has a valid one', async () => {
    const others = [secrets, new WebhookSecrets(store)];
    const asked = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => others[i % 2].create()));
    const given = asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    assert.equal(given.length, 2);
    assert.deepEqual(new Set(await secrets.list()), new Set(given));
  });

  test('are random, as the Standard Webhooks have them, and no one else’s to read', async () => {
    const [first, second] = [await secrets.create(), await secrets.create()];
    assert.notEqual(first.secret, second.secret);
    assert.match(first.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.ok(new Webhook(first.secret).sign('msg_1', new Date(), '{}'));
    assert.equal((await stat(join(root, 'secrets'))).mode & 0o077, 0);
  });
});
