import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Command } from 'commander';
import { fieldsOf, flagOfField, flagsOf, inFlags } from '../../src/cli/flags.ts';
import { createProgress, timeLeft } from '../../src/cli/progress-line.ts';
import { searchShape } from '../../src/recipe/lines.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { GRANULARITY_NAMES, REPAIR_NAMES, TARGET_NAMES } from '../../src/recipe/terms.ts';

/** What a request gets of flags. */
function fields(shape: Parameters<typeof flagsOf>[0], ...args: string[]): Record<string, unknown> {
  const flags = flagsOf(shape);
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  for (const { option } of flags) command.addOption(option);
  return fieldsOf(flags, command.parse(args, { from: 'user' }).opts());
}

describe('flags', () => {
  test('are there for every target of the vocabulary, in searches and recipes', () => {
    for (const name of TARGET_NAMES) {
      const flag = `--${name.replaceAll('_', '-')}`;
      assert.deepEqual(fields(searchShape, flag, '0.25'), { promise: { [name]: 0.25 } });
      assert.deepEqual(fields(recipeSchema.shape, flag, '0.25'), { target: { [name]: 0.25 } });
    }
  });

  test('give fields of all kinds, and defaults to the API', () => {
    assert.deepEqual(fields(searchShape), {});
    assert.deepEqual(
      fields(
        searchShape,
        '--aim',
        'speed',
        '--max-seconds',
        '9',
        '--allow-criteria',
        'wanda,obs',
        '--allow-repairs',
        'none',
      ),
      { aim: 'speed', limits: { max_seconds: 9 }, allow: { criteria: ['wanda', 'obs'], repairs: [] } },
    );
    assert.deepEqual(
      fields(
        recipeSchema.shape,
        '--dry-run',
        '--sparsity',
        '.5',
        '--sweep-betas',
        '1,2',
        '--include',
        'a,b',
        '--include',
        '*',
      ),
      { dry_run: true, budget: { sparsity: 0.5 }, sweep_betas: [1, 2], include: ['a,b', '*'] },
    );
  });

  test('list in help what they take, an empty list where that says something', () => {
    const choices = (shape: Parameters<typeof flagsOf>[0], name: string) =>
      flagsOf(shape).find(({ option }) => option.long === name)?.option.argChoices;
    assert.deepEqual(choices(recipeSchema.shape, '--repair'), REPAIR_NAMES);
    assert.deepEqual(choices(searchShape, '--allow-repairs'), [...REPAIR_NAMES, 'none']);
    assert.deepEqual(choices(searchShape, '--allow-granularities'), GRANULARITY_NAMES);
    assert.equal(choices(recipeSchema.shape, '--exclude'), undefined);
  });

  test('refuse what no field takes', () => {
    for (const args of [
      ['--aim', 'fame'],
      ['--max-kl', 'much'],
      ['--allow-criteria', 'wanda,luck'],
    ])
      assert.throws(() => fields(searchShape, ...args), { code: 'commander.invalidArgument' });
  });

  test('stand for the fields that the API names', () => {
    for (const [path, flag] of [
      ['/promise/max_kl', '--max-kl'],
      ['/recipe/target/max_kl', '--max-kl'],
      ['/allow/criteria/2', '--allow-criteria'],
      ['/recipe/budget/sparsity', '--sparsity'],
      ['/evaluation_dataset_id', '--data'],
      ['/calibration_dataset_id', '--calibration'],
      ['/model_id', 'MODEL'],
      ['?scope', '--scope'],
      ['conv1.weight', 'conv1.weight'],
    ])
      assert.equal(flagOfField(path), flag);
    assert.equal(
      inFlags('/recipe/beta must be above 0; give one of max_kl, min_speedup'),
      '--beta must be above 0; give one of --max-kl, --min-speedup',
    );
    const route = 'GET /v1/models/{id}/structures shows what a model has';
    assert.equal(inFlags(route), route);
  });
});

describe('progress', () => {
  test('is a line for each stage and quarter where nobody watches, and never goes back', () => {
    let said = '';
    const { show, end } = createProgress({
      isTTY: false,
      write: (text: string | Uint8Array) => {
        said += text;
        return true;
      },
    });
    for (const percent of [0, 10, 26, 20, 30, 51]) show('score', percent);
    end();
    assert.deepEqual(said.split('\n'), ['    0 %  score', '   25 %  score', '   50 %  score', '']);
  });

  test('tells the time left as if the rest took as long', () => {
    assert.equal(timeLeft(50, 30_000), ', about 30 s left');
    assert.equal(timeLeft(10, 60_000), ', about 9 min left');
    assert.equal(timeLeft(25, 3_600_000), ', about 3.0 h left');
    for (const percent of [0, 4, 100]) assert.equal(timeLeft(percent, 1000), '');
  });
});
