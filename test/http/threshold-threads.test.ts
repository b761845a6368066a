import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { EmpError } from '../../src/core/errors.ts';
import { answerThreshold, type ScoreForm } from '../../src/http/threshold-task.ts';
import { ThresholdThreads } from '../../src/http/threshold-threads.ts';

describe('on a thread and on the loop', () => {
  const threads = new ThresholdThreads(256, pino({ level: 'silent' }));
  after(() => threads.close());
  const ignored = new AbortController().signal;
  /** Spaces that make it too large to stay on the loop. */
  const padding = ' '.repeat(2 ** 16);

  const settle = async (answer: Promise<{ body: string | Uint8Array; summary: string | null }>) => {
    try {
      const { body, summary } = await answer;
      return { body: Buffer.from(body as string).toString('latin1'), summary };
    } catch (error) {
      if (!(error instanceof EmpError)) throw error;
      const { code, message, findings } = error;
      return { code, message, findings };
    }
  };
  const form: ScoreForm = {
    kind: 'raw',
    dtype: 'float32',
    options: { beta: 1, sign: 'abs', include: [] },
  };
  const bodyOf = (text: string) => new TextEncoder().encode(text);

  test('the same is answered', async () => {
    const scores = fc.array(fc.double({ noNaN: true }), { maxLength: 20 });
    const names = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'a/b', 'toString', '1'));
    const request = fc.record(
      {
        scores: fc.oneof(scores, fc.dictionary(names, scores, { maxKeys: 5 }), fc.jsonValue()),
        beta: fc.oneof(fc.double({ min: 0.1, max: 3, noNaN: true }), fc.jsonValue()),
        sign: fc.constantFrom('abs', 'shift', 'clamp', 'none'),
        include: fc.subarray(['keep_mask', 'kept_indices']),
      },
      { requiredKeys: ['scores'] },
    );
    await fc.assert(
      fc.asyncProperty(request, fc.constantFrom('json', 'keep-mask'), async (value, answer) => {
        const text = JSON.stringify(value);
        const [onLoop, onThread] = await Promise.all(
          [text, text + padding].map((json) =>
            settle(threads.answer({ form: { kind: 'json' }, body: bodyOf(json), answer }, ignored)),
          ),
        );
        assert.deepEqual(onThread, onLoop);
      }),
    );
  });

  test('the bytes of a large vector are given away, and its mask comes back', async () => {
    const body = new Uint8Array(new Float32Array(500_000).map((_, i) => i % 1000).buffer);
    const want = await settle(answerThreshold({ form, body, answer: 'keep-mask' }));
    const got = await settle(threads.answer({ form, body, answer: 'keep-mask' }, ignored));
    assert.deepEqual(got, want);
    assert.equal(body.byteLength, 0);
  });

  test('a view of memory that others use is copied, not given away', async () => {
    const shared = new Float32Array(800_000).fill(1);
    const body = new Uint8Array(shared.buffer, 0, 2_000_000);
    assert.match(String((await threads.answer({ form, body, answer: 'json' }, ignored)).body), /./);
    assert.equal(shared.length, 800_000);
  });

  test('who goes away leaves the queue, and more than 64 at a time are told to come again', async () => {
    const gone = new AbortController();
    const large = () => {
      const numbers = `{"scores":[${'1,'.repeat(2 ** 19)}1]}`;
      const task = { form: { kind: 'json' }, body: bodyOf(numbers), answer: 'json' } as const;
      return threads.answer(task, gone.signal);
    };
    const asked = Array.from({ length: 64 }, large);
    await assert.rejects(large(), { code: 'not_ready' });
    gone.abort();
    const settled = await Promise.allSettled(asked);
    for (const one of settled) {
      assert.equal(one.status, 'rejected');
      assert.equal(one.reason.code, 'malformed_body');
    }
    assert.equal(
      (
        await settle(
          threads.answer(
            { form: { kind: 'json' }, body: bodyOf(`{"scores":[1]}${padding}`), answer: 'json' },
            ignored,
          ),
        )
      ).code,
      undefined,
    );
  });

  test('what outgrows the heap of a thread fails alone', async () => {
    const little = new ThresholdThreads(32, pino({ level: 'silent' }));
    try {
      const ask = (text: string) =>
        settle(little.answer({ form: { kind: 'json' }, body: bodyOf(text), answer: 'json' }, ignored));
      assert.equal((await ask(`{"scores":[${'1,'.repeat(2 ** 22)}1]}`)).code, 'payload_too_large');
      assert.equal((await ask(`{"scores":[1]}${padding}`)).code, undefined);
    } finally {
      await little.close();
    }
  });
});
