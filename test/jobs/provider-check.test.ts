import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { childEnvironment, readChildSettings } from '../../src/jobs/child-settings.ts';
import { requireProviders } from '../../src/jobs/provider-check.ts';
import type { ExecutionProvider } from '../../src/runtime/session.ts';

const settings = (...providers: ExecutionProvider[]) => ({
  storeRoot: '/data',
  threads: 2,
  providers,
  memoryMebibytes: 512,
});

describe('execution providers of a worker', () => {
  test('reach its children in their order', (t) => {
    const before = process.env;
    t.after(() => {
      process.env = before;
    });
    process.env = childEnvironment(settings('cuda', 'cpu'));
    assert.deepEqual(readChildSettings(), settings('cuda', 'cpu'));
  });

  test('cpu alone starts no process: it needs not even an environment', async () => {
    await requireProviders(['cpu'], {});
    await assert.rejects(
      requireProviders(['cuda'], {}),
      /^EmpError: EXECUTION_PROVIDERS=cuda: the check ended with code 1$/,
    );
  });

  test('a provider that starts is let pass, one that does not is named', async () => {
    // What a child would start is in its environment: here one provider that every machine has, and one that none has without a device.
    await requireProviders(['cuda'], childEnvironment(settings('cpu')));
    const env = { ...childEnvironment(settings('cpu', 'cuda')), CUDA_VISIBLE_DEVICES: '-1' };
    await assert.rejects(requireProviders(['cpu', 'cuda'], env), {
      code: 'execution_provider_unavailable',
      message: /^EXECUTION_PROVIDERS=cpu,cuda: the execution provider 'cuda' cannot start; onnxruntime: \S/,
    });
  });
});
