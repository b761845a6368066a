import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { parseConfig, SETTINGS } from '../../src/config.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFile(new URL(path, ROOT), 'utf8');
const compose = parse(await read('docker-compose.yml'), { merge: true });
const dockerfile = await read('Dockerfile');
const services = Object.entries<Record<string, unknown>>(compose.services);
const UNITS: Readonly<Record<string, number>> = { m: 2 ** 20, g: 2 ** 30 };
/** Read by Node and by the C library, not by us. */
const OTHERS = ['NODE_ENV', 'MALLOC_MMAP_THRESHOLD_'];
const PINNED = /^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/;

function bytes(text: unknown): number {
  const [, amount, unit = ''] = /^(\d+)([mg])$/.exec(String(text)) ?? [];
  return Number(amount) * (UNITS[unit] ?? Number.NaN);
}

/** A number that the code goes by, out of its source. */
async function constant(path: string, pattern: RegExp): Promise<number> {
  const value = pattern.exec(await read(path))?.[1];
  assert.ok(value, `${path} has no ${pattern}`);
  return Number(value.replaceAll('_', ''));
}

describe('what containers may do', () => {
  test('there is something to look at', () => {
    assert.deepEqual(Object.keys(compose.services).sort(), ['api', 'redis', 'worker']);
  });

  for (const [name, service] of services) {
    test(`${name} writes to its volume and /tmp alone, gains no rights, and has limits`, () => {
      assert.equal(service.read_only, true);
      assert.match(String(service.tmpfs), /^\/tmp:size=\d+m,mode=1777$/);
      assert.deepEqual(service.cap_drop, ['ALL']);
      assert.equal(service.cap_add, undefined);
      assert.equal(service.privileged, undefined);
      assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
      assert.ok(Number(service.pids_limit) > 0);
      assert.ok(bytes(service.mem_limit) > 0, `mem_limit: ${service.mem_limit}`);
      assert.ok((service.volumes as string[]).every((volume) => /^(data|redis):\/data$/.test(volume)));
      // Our own image says `USER node`.
      if (!service.build) assert.match(String(service.user ?? 'root'), /^(?!root|0)\w+$/);
    });

    test(`${name} is seen when it is stuck`, () => {
      const { disable, test: command } = (service.healthcheck ?? {}) as Record<string, unknown>;
      assert.ok(!disable);
      // The image's own asks the API.
      assert.ok(command || (name === 'api' && /^HEALTHCHECK .*\n {2}CMD .*healthz/m.test(dockerfile)), name);
    });
  }

  test('a worker, which runs uploaded models, reaches the queue and nothing else; only the API is reached from outside', () => {
    const networks = Object.fromEntries(services.map(([name, { networks }]) => [name, networks]));
    assert.deepEqual(networks, { redis: ['queue'], api: ['front', 'queue'], worker: ['queue'] });
    assert.deepEqual(compose.networks.queue, { internal: true });
    for (const [name, { ports = [] }] of services)
      assert.deepEqual(ports, name === 'api' ? ['127.0.0.1:3000:3000'] : []);
  });

  test('a container is killed only after the code has given up waiting', async () => {
    const graceMs = await constant('src/jobs/worker.ts', /^const GRACE_MS = ([\d_]+);$/m);
    const abortMs = await constant('src/jobs/worker.ts', /^const ABORT_MS = ([\d_]+);$/m);
    const closeMs = await constant('src/http/app.ts', /^const CLOSE_GRACE_MS = ([\d_]+);$/m);
    // One after the other in a process of both roles; results and records are written after that.
    const neededSeconds = (graceMs + abortMs + closeMs) / 1000 + 10;
    for (const [name, { stop_grace_period }] of services) {
      const [, seconds] = /^(\d+)s$/.exec(String(stop_grace_period)) ?? [];
      assert.ok(Number(seconds) >= neededSeconds, `${name}: ${stop_grace_period} < ${neededSeconds}s`);
    }
    assert.match(await read('docs/operations.md'), /terminationGracePeriodSeconds: (?:[4-9]\d|\d{3,})\b/);
  });

  test('memory is enough for the children that the code allows, and a GiB beside them', async () => {
    const MEMORY = /^ *(?:const LIMITS.*)?\bmemoryMebibytes: (\d+),/m;
    const mebibytes = 2 ** 20;
    const analyses =
      (await constant('src/intake/model-analyses.ts', /^const ANALYSES_AT_ONCE = (\d+);$/m)) *
      (await constant('src/intake/model-analyses.ts', MEMORY));
    const readers =
      (await constant('src/intake/model-reader.ts', /^const READERS = (\d+);$/m)) *
      (await constant('src/intake/model-reader.ts', MEMORY));
    const { api, worker, redis } = compose.services;
    assert.ok(bytes(api.mem_limit) >= (analyses + readers) * mebibytes + 2 ** 30);
    const { WORKER_CONCURRENCY = 1, JOB_MEMORY_MIB = parseConfig({}).jobLimits.memoryMebibytes } =
      worker.environment;
    const jobs =
      Number(WORKER_CONCURRENCY) +
      (await constant('src/jobs/workers.ts', /^const SHORT_CONCURRENCY = (\d+);$/m));
    assert.ok(bytes(worker.mem_limit) >= jobs * Number(JOB_MEMORY_MIB) * mebibytes + 2 ** 30);
    const queued = bytes(`${redis.command.at(redis.command.indexOf('--maxmemory') + 1)}`.replace('b', ''));
    assert.ok(bytes(redis.mem_limit) >= 2 * queued);
  });

  test('`npm start` and the services of tests give memory back as the image does', async () => {
    const [, bytes] = /^ENV MALLOC_MMAP_THRESHOLD_=(\d+)$/m.exec(dockerfile) ?? [];
    assert.ok(bytes);
    const { start, api, worker } = JSON.parse(await read('package.json')).scripts;
    for (const script of [start, api, worker])
      assert.match(script, new RegExp(`^MALLOC_MMAP_THRESHOLD_=${bytes} `));
    assert.match(await read('scripts/start-server.ts'), new RegExp(`MALLOC_MMAP_THRESHOLD_: '${bytes}'`));
  });

  test('base images are pinned by digest, and Node is of the version that the tests run on', async () => {
    for (const [, { build, image }] of services) if (!build) assert.match(String(image), PINNED);
    const stages = [...dockerfile.matchAll(/^FROM (\S+)(?: AS (\S+))?$/gm)];
    const known = new Set(stages.map(([, , stage]) => stage));
    const [, base] = /^ARG BASE=(\S+)$/m.exec(dockerfile) ?? [];
    const images = stages.map(([, image = '']) => (image === '$' + '{BASE}' ? base : image) ?? '');
    for (const image of images) if (!known.has(image)) assert.match(image, PINNED);
    const [, major] = /^(\d+)\./.exec(process.versions.node) ?? [];
    assert.ok(images.some((image) => image.startsWith(`node:${major}.`)));
  });

  test('the image sets settings that exist, and no cache of compiled code that a job could write', () => {
    const names = [...dockerfile.matchAll(/^ENV (.+)$/gm)].flatMap(([, line = '']) =>
      [...line.matchAll(/(\w+)=/g)].map(([, name]) => name),
    );
    assert.ok(names.includes('HEARTBEAT_FILE'));
    for (const name of names)
      assert.ok(OTHERS.includes(name ?? '') || (SETTINGS as string[]).includes(name ?? ''), name);
  });
});
