import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createFloatNpy } from '../formats/npy-bytes.ts';
import { EMP, ended, openPlace } from './run-emp.ts';

/** Says at its end what packages the process has loaded. */
const HOOK = `
import { registerHooks } from 'node:module';
const packages = new Set();
registerHooks({
  load(url, context, next) {
    const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
    if (name) packages.add(name);
    return next(url, context);
  },
});
process.on('exit', () => process.stderr.write(JSON.stringify([...packages])));
`;
/** What only others need than who asks by the command line: half a second of loading. */
const OF_OTHERS = [
  ...['bullmq', 'ioredis', 'onnxruntime-node', '@observablehq/plot', 'linkedom'],
  ...['prom-client', '@fastify/swagger', 'ajv', 'yaml'],
];

test('a verb loads neither a queue nor charts, documentation or metrics', async (t) => {
  const place = await openPlace(t);
  await writeFile(join(place.path, 'scores.npy'), createFloatNpy([3, -1, 0, 0]));
  const hook = `data:text/javascript,${encodeURIComponent(HOOK)}`;
  const program = [process.execPath, '--import', hook, EMP];
  const { code, stderr } = await ended(place.start(['threshold', 'scores.npy'], { program }));
  assert.equal(code, 0, stderr);
  const loaded: string[] = JSON.parse(stderr);
  assert.ok(loaded.includes('fastify'), stderr);
  assert.deepEqual(
    OF_OTHERS.filter((name) => loaded.includes(name)),
    [],
  );
});
