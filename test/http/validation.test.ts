import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());

async function findingsOf(path: string, body?: unknown) {
  const headers = { 'content-type': 'application/json' };
  const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const response = await service.fetch(path, init);
  const { errors, detail } = await readProblem(response);
  assert.equal(response.status, 422, detail);
  return Object.fromEntries(errors.map(({ path, message }) => [path, message]));
}

/** A job of a recipe, or of other fields of the request. */
const jobWith = (fields: object) => findingsOf('/v1/jobs', { model_id: 'mdl_1', ...fields });

describe('what is wrong with a request is said in words that name what would be right', () => {
  const recipes: [recipe: unknown, path: string, message: RegExp][] = [
    [{ repair: 'bias' }, '/recipe/repair', /^must be an array, is "bias"$/],
    [{ repair: Array(7).fill('bias') }, '/recipe/repair', /^must have at most 6 entries, has 7$/],
    [
      { repair: ['prune'] },
      '/recipe/repair/0',
      /^must be one of batch_norm, bias, channel_variance, least_squares, least_squares_masks, swaps, is "prune"$/,
    ],
    [
      { granularity: 'head', criterion: 'l2_norm', repair: ['least_squares_masks'] },
      '/recipe/repair',
      /^least_squares_masks chooses which weights are kept, and a head goes as a whole: give least_squares$/,
    ],
    [{ include: 'fc*' }, '/recipe/include', /^must be an array, is "fc\*"$/],
    [{ include: [''] }, '/recipe/include/0', /^must not be empty$/],
    [{ exclude: ['x'.repeat(257)] }, '/recipe/exclude/0', /^must have at most 256 characters, has 257$/],
    [{ sweep_betas: 'all' }, '/recipe/sweep_betas', /^must be an array, is "all"$/],
    [{ sweep_betas: [1, '2'] }, '/recipe/sweep_betas/1', /^must be a number, is "2"$/],
    [{ beta: 0 }, '/recipe/beta', /^must be more than 0, is 0$/],
    [{ beta: null }, '/recipe/beta', /^must be a number, is null$/],
    [{ min_density: 1.5 }, '/recipe/min_density', /^must be at most 1, is 1.5$/],
    [{ round_to: 1.5 }, '/recipe/round_to', /^must be a whole number, is 1.5$/],
    [{ criterion: 'random', seed: -1 }, '/recipe/seed', /^must be at least 0, is -1$/],
    [{ dry_run: 'yes' }, '/recipe/dry_run', /^must be true or false, is "yes"$/],
    [{ scope: 'all' }, '/recipe/scope', /^must be one of .*global.*, is "all"$/],
    [{ scope: ['x'] }, '/recipe/scope', /^must be one of .*global.*, is an array$/],
    [{ budget: 2 }, '/recipe/budget', /^must be an object with sparsity, is 2$/],
    [{ budget: {} }, '/recipe/budget/sparsity', /^is missing$/],
    [{ budget: { sparsity: 1 } }, '/recipe/budget/sparsity', /^must be less than 1, is 1$/],
    [{ budget: { share: 0.5 } }, '/recipe/budget/share', /^is not known here: expected sparsity$/],
    [
      { target: 0.01 },
      '/recipe/target',
      /^must be an object with some of max_loss_increase, max_accuracy_drop, max_disagreement, max_kl, max_relative_l2, max_cosine_distance, confidence, max_parameters, max_bytes, max_compressed_bytes, max_macs, min_speedup, max_latency_ms, batch_size, is 0.01$/,
    ],
    [{ sparsity: 0.5 }, '/recipe/sparsity', /^is not known here: expected criterion, scope, .*dry_run$/],
    ['global', '/recipe', /^must be an object with some of criterion, .*, is "global"$/],
  ];
  for (const [recipe, path, message] of recipes) {
    test(JSON.stringify(recipe).slice(0, 60), async () => {
      const findings = await jobWith({ recipe });
      assert.match(findings[path] ?? '', message);
      // `share` leaves `sparsity` missing, too.
      if (!path.endsWith('/share')) assert.deepEqual(Object.keys(findings), [path]);
    });
  }

  test('fields beside the recipe', async () => {
    assert.deepEqual(await findingsOf('/v1/jobs', {}), { '/model_id': 'is missing' });
    assert.deepEqual(await jobWith({ model_id: 5 }), { '/model_id': 'must be a string, is 5' });
    assert.deepEqual(await jobWith({ priority: 11 }), { '/priority': 'must be at most 9, is 11' });
    assert.deepEqual(await jobWith({ scores_dataset_id: ['x'] }), {
      '/scores_dataset_id': 'must be a string, is an array',
    });
    assert.deepEqual(await jobWith({ metadata: { a: 5, ['n'.repeat(65)]: '', b: 'x'.repeat(513) } }), {
      '/metadata/a': 'must be a string, is 5',
      [`/metadata/${'n'.repeat(65)}`]: 'has a name that must have at most 64 characters, has 65',
      '/metadata/b': 'must have at most 512 characters, has 513',
    });
  });

  test('what is known is told once', async () => {
    assert.deepEqual(await jobWith({ recipe: { budget: { sparsity: 0, a: 1, b: 1 } } }), {
      '/recipe/budget/a': 'is not known here: expected sparsity',
      '/recipe/budget/b': 'is not known here',
    });
  });

  test('long values lose their middle', async () => {
    const { '/recipe/scope': message = '' } = await jobWith({ recipe: { scope: 'x'.repeat(4000) } });
    assert.ok(message.length < 120, message);
  });

  test('options of a score vector', async () => {
    assert.deepEqual(
      await findingsOf('/v1/thresholds', { scores: [1], beta: '1', include: 'mask', signs: 1 }),
      {
        '/beta': 'must be a number, is "1"',
        '/include': 'must be an array, is "mask"',
        '/signs': 'is not known here: expected beta, sign, include',
      },
    );
  });

  test('parameters of a query', async () => {
    assert.deepEqual(await findingsOf('/v1/models?status=running'), {
      '?status': 'is not known here: expected limit, cursor',
    });
    assert.deepEqual(await findingsOf('/v1/models?limit=101'), { '?limit': 'must be at most 100, is 101' });
    assert.deepEqual(await findingsOf('/v1/models?limit=1.5'), {
      '?limit': 'must be a whole number written as 0, 1, 2 and so on, is "1.5"',
    });
    assert.deepEqual(await findingsOf('/v1/datasets?limit=all'), {
      '?limit': 'must be a whole number written as 0, 1, 2 and so on, is "all"',
    });
    assert.deepEqual(await findingsOf('/v1/datasets?cursor=zzz'), {
      '?cursor': 'must be the next_cursor of a page of datasets',
    });
  });
});
