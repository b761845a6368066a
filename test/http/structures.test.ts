import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { crashing, endless, mismatched, swelling, transformer } from '../models/structure-models.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

const perceptron = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));

async function uploadTo(service: TestApp, name: string, content: Uint8Array): Promise<string> {
  const form = new FormData();
  form.append('file', fileOf(content), name);
  const response = await service.fetch('/v1/models', { method: 'POST', body: form });
  assert.ok(response.ok, await response.clone().text());
  return (await readJson(response)).id;
}

const ask = (service: TestApp, id: string, client?: string) =>
  service.fetch(`/v1/models/${id}/structures`, {}, client);

async function refused(response: Response, status: number, code: string) {
  const problem = await readProblem(response);
  assert.deepEqual([response.status, problem.code], [status, code], problem.detail);
  return problem;
}

/** Processes that analyse the model at the moment. */
async function childrenOf(id: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.startsWith(`emp analysis-child structures ${id}`)) found.push(Number(pid));
  }
  return found;
}

async function until(what: string, holds: () => Promise<boolean>, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `not within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

async function connectTo(service: TestApp): Promise<Socket> {
  const socket = connect(Number(new URL(await service.listen()).port), '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

const isOfStructures = (path: string) => /\/structures-[0-9a-f]{16}\.json$/.test(path);

const hasChildren = (id: string, count: number) => async () => (await childrenOf(id)).length === count;

describe('GET /v1/models/{id}/structures', () => {
  let service: TestApp;
  before(async () => {
    service = await openTestApp();
  });
  after(() => service.close());
  afterEach(async () => {
    const { data } = await readJson(await service.fetch('/v1/models?limit=100'));
    for (const { id } of data) await service.fetch(`/v1/models/${id}`, { method: 'DELETE' });
    assert.deepEqual(await service.files(), []);
  });
  const upload = (name: string, content: Uint8Array) => uploadTo(service, name, content);

  test('a perceptron: its hidden neurons, and why its inputs and outputs stay', async () => {
    const response = await ask(service, await upload('fc2-mnist.onnx', perceptron));
    assert.equal(response.status, 200);
    assert.deepEqual(await readJson(response), {
      families: [
        {
          name: '1.weight',
          kind: 'channel',
          n: 100,
          producers: ['1.weight'],
          consumers: ['3.weight'],
          unread: false,
          axes: [
            { tensor: '1.weight', axis: 0, positions_each: 1 },
            { tensor: '1.bias', axis: 0, positions_each: 1 },
            { tensor: '3.weight', axis: 1, positions_each: 1 },
          ],
        },
      ],
      frozen: [
        {
          tensor: '1.weight',
          axis: 1,
          node: '/1/Gemm',
          operator: 'Gemm',
          reason: 'is tied to an axis that cannot shrink',
        },
        {
          tensor: '3.weight',
          axis: 0,
          node: 'logits',
          operator: null,
          reason: 'is an axis of an output of the model',
        },
      ],
      n_frozen: 2,
    });
  });

  test('a transformer: heads with all that shares them, their width, and neurons', async () => {
    const { families, frozen, n_frozen } = await readJson(
      await ask(service, await upload('transformer.onnx', transformer())),
    );
    const shown = families.map(({ kind, n, producers, axes }: Record<string, unknown>) => [
      kind,
      n,
      producers,
      (axes as { tensor: string; axis: number; positions_each: number }[]).map(
        ({ tensor, axis, positions_each }) => `${positions_each} of ${tensor}#${axis}`,
      ),
    ]);
    assert.deepEqual(shown, [
      ['head', 4, ['w_q', 'w_k', 'w_v'], ['4 of w_q#1', '4 of w_k#1', '4 of w_v#1', '4 of w_o#0']],
      ['head_width', 4, ['w_q', 'w_k'], ['4 of w_q#1', '4 of w_k#1']],
      ['head_width', 4, ['w_v'], ['4 of w_v#1', '4 of w_o#0']],
      ['channel', 32, ['w_up'], ['1 of w_up#1', '1 of w_down#0']],
    ]);
    assert.equal(n_frozen, frozen.length);
    assert.deepEqual(
      frozen.map(({ tensor, axis }: Record<string, unknown>) => `${tensor}#${axis}`),
      ['w_q#0', 'w_k#0', 'w_v#0', 'w_o#1', 'w_up#0', 'w_down#1'],
    );
  });

  test('is found once: later answers need neither a process nor the model', async () => {
    const id = await upload('fc2-mnist.onnx', perceptron);
    const first = await readJson(await ask(service, id));
    assert.ok((await service.files()).some(isOfStructures));
    await rm(join(service.store.root, 'models', id, 'files', 'fc2-mnist.onnx'));
    assert.deepEqual(await readJson(await ask(service, id)), first);
  });

  test('what other rules found is found again', async () => {
    const id = await upload('fc2-mnist.onnx', perceptron);
    const nothing = { families: [], frozen: [], n_frozen: 0 };
    for (const [name, stored] of [
      [`structures-${'0'.repeat(16)}.json`, nothing],
      ['structures.json', { source: '0'.repeat(64), structures: nothing }],
    ] as const) {
      await service.store.writeText('models', id, name, JSON.stringify(stored));
      assert.equal((await readJson(await ask(service, id))).families.length, 1);
    }
  });

  test('goes with the model, and comes with it again', async () => {
    const id = await upload('transformer.onnx', transformer());
    assert.equal((await ask(service, id)).status, 200);
    assert.equal((await service.fetch(`/v1/models/${id}`, { method: 'DELETE' })).status, 204);
    assert.deepEqual(await service.files(), []);
    await refused(await ask(service, id), 404, 'not_found');
    assert.equal(await upload('transformer.onnx', transformer()), id);
    assert.deepEqual(
      (await service.files(['models'])).map((path) => path.split('/').at(-1)),
      ['transformer.onnx', 'inventory.json', 'record.json', 'tensors.json'],
    );
    assert.equal((await ask(service, id)).status, 200);
  });

  test('a full disk costs the next reader time, nobody the answer', async (t) => {
    const id = await upload('fc2-mnist.onnx', perceptron);
    t.mock.method(service.store, 'writeText', () =>
      Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })),
    );
    for (let i = 0; i < 2; i++) assert.equal((await ask(service, id)).status, 200);
    assert.ok(!(await service.files()).some(isOfStructures));
  });

  test('a model that is not there', async () => {
    for (const id of ['mdl_0123456789', 'nothing', '..%2f..'])
      await refused(await ask(service, id), 404, 'not_found');
  });

  test('safetensors: says what to send', async () => {
    const id = await upload('a.safetensors', createSafetensors({ 'fc.weight': [2, 3] }));
    const { detail, errors } = await refused(await ask(service, id), 422, 'unsupported_model');
    assert.match(detail, /no graph.*upload the ONNX export/);
    assert.equal(errors[0]?.path, 'a.safetensors');
  });

  test("a model that does not run: onnxruntime's reason", async () => {
    const id = await upload('mismatched.onnx', mismatched());
    const { detail } = await refused(await ask(service, id), 422, 'unsupported_model');
    assert.match(detail, /^onnxruntime cannot open the model: .*Incompatible dimensions/);
    assert.ok(!detail.includes(service.store.root));
  });

  test('a model that asks for a terabyte is refused its memory', async () => {
    const id = await upload('swelling.onnx', swelling(2 ** 38));
    const { detail } = await refused(await ask(service, id), 422, 'limit_exceeded');
    assert.match(detail, /Failed to allocate memory for requested buffer of size 1099511627776/);
  });

  test('a model that crashes onnxruntime ends its own analysis and nothing else', {
    skip: process.arch !== 'x64' && 'other processors divide it',
  }, async () => {
    const [crash, fine] = [await upload('crash.onnx', crashing()), await upload('fc.onnx', perceptron)];
    const answers = await Promise.all([ask(service, crash), ask(service, fine)]);
    const { detail, errors } = await refused(answers[0], 422, 'unsupported_model');
    assert.match(detail, /crash\.onnx.*crashes onnxruntime \(SIGFPE\)/);
    assert.equal(errors[0]?.path, 'crash.onnx');
    assert.equal(answers[1].status, 200);
    assert.equal((await service.fetch('/healthz')).status, 200);
  });

  test("a failure of ours says nothing of this machine's files", async () => {
    const id = await upload('fc2-mnist.onnx', perceptron);
    await service.store.writeText('models', id, 'inventory.json', '{}');
    await refused(await ask(service, id), 500, 'internal_error');
  });
});

describe('an analysis that takes more than it may have', () => {
  for (const [what, limits, model, reason] of [
    ['heap', { heapMebibytes: 8 }, perceptron, /takes more than the 4096 MiB that an analysis may have/],
    ['memory', { memoryMebibytes: 1024 }, swelling(2 ** 28), /Failed to allocate memory .* 1073741824/],
    ['output', { outputBytes: 100 }, perceptron, /more families of structures than can be shown/],
  ] as const) {
    test(what, async () => {
      const service = await openTestApp({ analysisLimits: limits });
      try {
        const id = await uploadTo(service, 'model.onnx', model);
        assert.match((await refused(await ask(service, id), 422, 'limit_exceeded')).detail, reason);
        assert.ok(!(await service.files()).some((path) => path.includes('structures')));
      } finally {
        await service.close();
      }
    });
  }
});

describe('an analysis without end', () => {
  let service: TestApp;
  const open = async (timeMs: number) => {
    service = await openTestApp({ analysisLimits: { timeMs } });
    return uploadTo(service, 'endless.onnx', endless());
  };
  afterEach(() => service.close());

  test('is ended when its time is over, and was one for all who asked', async () => {
    const id = await open(2500);
    const answers = [1, 2, 3].map(() => ask(service, id));
    await until('a child', hasChildren(id, 1));
    answers.push(ask(service, id));
    await sleep(300);
    assert.equal((await childrenOf(id)).length, 1);
    for (const response of await Promise.all(answers)) {
      const { detail } = await refused(response, 422, 'limit_exceeded');
      assert.match(detail, /endless\.onnx.*longer than 2\.5 seconds/);
    }
    assert.deepEqual(await childrenOf(id), []);
    assert.ok(!(await service.files()).some((path) => path.includes('structures')));
    // It is remembered: nobody else waits for it.
    const again = performance.now();
    await refused(await ask(service, id), 422, 'limit_exceeded');
    assert.ok(performance.now() - again < 1000);
  });

  test('is ended when the last who asked has gone', async () => {
    const id = await open(60_000);
    const clients = await Promise.all([1, 2].map(() => connectTo(service)));
    for (const client of clients)
      client.write(`GET /v1/models/${id}/structures HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await until('a child', hasChildren(id, 1));
    const [pid] = await childrenOf(id);
    await sleep(50);
    clients[0]?.destroy();
    await sleep(300);
    assert.deepEqual(await childrenOf(id), [pid]);
    clients[1]?.destroy();
    await until('no child', hasChildren(id, 0));
  });

  test('does not hold up another model', async () => {
    const id = await open(60_000);
    const client = await connectTo(service);
    client.write(`GET /v1/models/${id}/structures HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await until('a child', hasChildren(id, 1));
    const fine = await uploadTo(service, 'fc2-mnist.onnx', perceptron);
    assert.equal((await ask(service, fine, 'another')).status, 200);
    assert.equal((await childrenOf(id)).length, 1);
    client.destroy();
  });

  test('goes on beside one other: further ones wait for their turn', async () => {
    const ids = [await open(4000), await uploadTo(service, 'endless.onnx', endless('other'))];
    const fine = await uploadTo(service, 'fc2-mnist.onnx', perceptron);
    const hanging = ids.map((id) => ask(service, id, `client of ${id}`));
    for (const id of ids) await until('a child', hasChildren(id, 1));
    const waiting = ask(service, fine);
    await sleep(500);
    assert.deepEqual(await childrenOf(fine), []);
    for (const response of await Promise.all(hanging)) await refused(response, 422, 'limit_exceeded');
    assert.equal((await waiting).status, 200);
  });

  test('takes one turn of its client: others have theirs', async () => {
    const ids = [await open(60_000), await uploadTo(service, 'endless.onnx', endless('other'))];
    const fine = await uploadTo(service, 'fc2-mnist.onnx', perceptron);
    const clients = await Promise.all(ids.map(() => connectTo(service)));
    for (const [i, id] of ids.entries())
      clients[i]?.write(`GET /v1/models/${id}/structures HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await until('a child', async () => (await Promise.all(ids.map(childrenOf))).flat().length === 1);
    assert.equal((await ask(service, fine, 'another')).status, 200);
    assert.equal((await Promise.all(ids.map(childrenOf))).flat().length, 1);
    for (const client of clients) client.destroy();
  });

  test('ends with the server', async () => {
    const id = await open(60_000);
    const answer = ask(service, id);
    await until('a child', hasChildren(id, 1));
    const start = performance.now();
    await service.app.close();
    assert.ok(performance.now() - start < 3000);
    await refused(await answer, 503, 'not_ready');
    await until('no child', hasChildren(id, 0));
  });

  test('that somebody else ends can be asked for again', async () => {
    const id = await open(60_000);
    const answer = ask(service, id);
    await until('a child', hasChildren(id, 1));
    for (const pid of await childrenOf(id)) process.kill(pid, 'SIGKILL');
    assert.equal((await answer).headers.get('retry-after'), '5');
    await refused(await answer, 503, 'not_ready');
  });

  test('of a model that is deleted meanwhile is not found', async () => {
    const id = await open(60_000);
    const answer = ask(service, id);
    await until('a child', hasChildren(id, 1));
    assert.equal((await service.fetch(`/v1/models/${id}`, { method: 'DELETE' })).status, 204);
    await refused(await answer, 404, 'not_found');
    await until('no child', hasChildren(id, 0));
    assert.deepEqual(await service.files(), []);
  });
});
