import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { SCOPES, type Scope } from '../../src/access/caller.ts';
import { addKey, readKeys, removeKey, watchKeys } from '../../src/access/key-file.ts';
import { SettingsFileError } from '../../src/access/settings-file.ts';

const WITHIN_MS = 20_000;

describe('keys', () => {
  test('are found by themselves alone', () => {
    const callers = [
      { name: 'one', tenant: 'acme', scopes: ['read'] },
      { name: 'two', tenant: null, scopes: SCOPES },
    ] as const;
    const made = callers.map(createKey);
    const ring = new KeyRing(made.map(({ stored }) => stored));
    for (const [i, { text, stored }] of made.entries()) {
      assert.deepEqual(ring.find(text), callers[i]);
      // One character is another, at either end.
      for (const place of [0, 4, 16, text.length - 1])
        assert.equal(
          ring.find(text.slice(0, place) + (text[place] === 'a' ? 'b' : 'a') + text.slice(place + 1)),
          null,
        );
      for (const other of ['', ' ', text.slice(1), `${text}a`, stored.sha256, stored.id, `emp_${stored.id}_`])
        assert.equal(ring.find(other), null);
    }
    const [one, two] = made.map(({ text }) => text);
    // The id of one, the secret of the other.
    assert.equal(ring.find(one.slice(0, 17) + two.slice(17)), null);
    assert.equal(new KeyRing([]).find(one), null);
  });

  test('are stored as the hash of the whole key', () => {
    const { text, stored } = createKey({ name: 'ci', tenant: null, scopes: ['read', 'write'] });
    assert.equal(stored.sha256, createHash('sha256').update(text).digest('hex'));
    assert.ok(!JSON.stringify(stored).includes(text.slice(17)));
  });
});

describe('a file of keys', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-keys-'));
  });
  after(() => rm(directory, { recursive: true }));

  test('gets keys and loses them, for nobody else to read', async () => {
    const path = join(directory, 'made.json');
    const first = await addKey(path, { name: 'first', tenant: null, scopes: ['read'] });
    const second = await addKey(path, { name: 'second@ci', tenant: null, scopes: ['write'] });
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const text = await readFile(path, 'utf8');
    assert.ok(!text.includes(first) && !text.includes(second));
    await assert.rejects(addKey(path, { name: 'first', tenant: null, scopes: ['admin'] }), /has a key first/);
    await assert.rejects(
      addKey(path, { name: 'of whom', tenant: null, scopes: ['read'] }),
      /"of whom" must be of letters/,
    );
    for (const tenant of ['', 'Acme', '-acme', 'a_b', 'a.b', '../b', 'acme\n', 'ä', 'a'.repeat(64)])
      await assert.rejects(
        addKey(path, { name: 'third', tenant, scopes: ['read'] }),
        /^SettingsFileError: the tenant ".*" must be 1 to 63 lower-case letters, digits and dashes, and begin with/,
      );
    assert.equal(await readFile(path, 'utf8'), text);
    await removeKey(path, 'first');
    const ring = new KeyRing(await readKeys(path));
    assert.deepEqual([ring.find(first), ring.find(second)?.name], [null, 'second@ci']);
    await assert.rejects(removeKey(path, 'first'), /has no key first/);
    assert.deepEqual(await readdir(directory), ['made.json']);
  });

  test('has every key that was told, whoever adds and removes at the same time', async () => {
    const path = join(directory, 'shared.json');
    const names = Array.from({ length: 8 }, (_, i) => `key-${i}`);
    for (const name of names) await addKey(path, { name: `old-${name}`, tenant: null, scopes: ['read'] });
    const [texts] = await Promise.all([
      Promise.all(names.map((name) => addKey(path, { name, tenant: null, scopes: ['read'] }))),
      Promise.all(names.map((name) => removeKey(path, `old-${name}`))),
    ]);
    const keys = await readKeys(path);
    assert.deepEqual(keys.map(({ name }) => name).sort(), names);
    const ring = new KeyRing(keys);
    assert.deepEqual(
      texts.map((text) => ring.find(text)?.name),
      names,
    );
    // Another process may have been killed while it changed the file.
    await writeFile(`${path}.lock`, '');
    await utimes(`${path}.lock`, 0, 0);
    await Promise.all(names.map((name) => removeKey(path, name)));
    assert.deepEqual(await readKeys(path), []);
    await rm(path);
    assert.deepEqual(await readdir(directory), ['made.json']);
  });

  test('is left alone while another process changes it', async () => {
    const path = join(directory, 'taken.json');
    await writeFile(`${path}.lock`, '');
    const adding = addKey(path, { name: 'ci', tenant: null, scopes: ['read'] });
    await sleep(200);
    await assert.rejects(readKeys(path), { code: 'ENOENT' });
    await rm(`${path}.lock`);
    const text = await adding;
    assert.equal(new KeyRing(await readKeys(path)).find(text)?.name, 'ci');
    await rm(path);
  });

  test('says of a key to which tenant it belongs; one of before there were tenants is of none', async () => {
    const path = join(directory, 'tenants.json');
    const tenants = ['acme', '0-1', 'a'.repeat(63), null];
    const texts: string[] = [];
    for (const [i, tenant] of tenants.entries())
      texts.push(await addKey(path, { name: `key-${i}`, tenant, scopes: ['read'] }));
    const stored = await readKeys(path);
    assert.ok(!('tenant' in stored[tenants.indexOf(null)]));
    const ring = new KeyRing(stored);
    assert.deepEqual(
      texts.map((text) => ring.find(text)?.tenant),
      tenants,
    );
    await rm(path);
  });

  test('that cannot be used is told by its name and place', async () => {
    const path = join(directory, 'broken.json');
    const { stored } = createKey({ name: 'a', tenant: null, scopes: ['read'] });
    for (const [content, message] of [
      ['{', /broken\.json is no JSON/],
      ['[]', /broken\.json: \/: .*object/],
      [JSON.stringify({ keys: [{ ...stored, sha256: 'x' }] }), /\/keys\/0\/sha256: must be 64 hexadecimal/],
      [JSON.stringify({ keys: [{ ...stored, scopes: ['all' as Scope] }] }), /\/keys\/0\/scopes\/0: /],
      [
        JSON.stringify({ keys: [{ ...stored, tenant: 'Acme' }] }),
        /\/keys\/0\/tenant: must be 1 to 63 lower-/,
      ],
      [JSON.stringify({ keys: [stored, stored] }), /\/keys: has a name twice/],
      [JSON.stringify({ keys: [stored, { ...stored, name: 'b' }] }), /\/keys: has an id twice/],
    ] as const) {
      await writeFile(path, content);
      await assert.rejects(
        readKeys(path),
        (error) => error instanceof SettingsFileError && message.test(error.message),
      );
    }
    await assert.rejects(readKeys(join(directory, 'none.json')), { code: 'ENOENT' });
    await rm(path);
  });

  test('is read again when it has changed, also as a mounted secret does; a slip changes nothing', async (t) => {
    const versions = await Promise.all(
      ['one', 'two'].map(async (name) => {
        await mkdir(join(directory, name));
        return await addKey(join(directory, name, 'keys.json'), { name, tenant: null, scopes: ['read'] });
      }),
    );
    const link = async (to: string) => {
      await symlink(to, join(directory, 'next'));
      await rename(join(directory, 'next'), join(directory, 'current'));
    };
    await link('one');
    const errors: unknown[] = [];
    const keys = await watchKeys(join(directory, 'current/keys.json'), (error) => errors.push(error));
    t.after(() => keys.close());
    const found = () => versions.map((text) => keys.find(text)?.name ?? null);
    const until = async (holds: () => boolean) => {
      for (const deadline = Date.now() + WITHIN_MS; !holds(); await sleep(50))
        assert.ok(Date.now() < deadline);
    };
    assert.deepEqual(found(), ['one', null]);
    await link('two');
    await until(() => found()[1] === 'two');
    assert.equal(found()[0], null);
    await writeFile(join(directory, 'two/keys.json'), '{"keys": ');
    await until(() => errors.length > 0);
    assert.deepEqual(found(), [null, 'two']);
  });
});
