import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { repeatCalls } from '../../src/report/repeat-calls.ts';
import type { Report } from '../../src/report/report.ts';
import { renderReportMarkdown } from '../../src/report/report-markdown.ts';
import { hash } from './composed-report.ts';
import { HOSTILE_NAMES } from './hostile-names.ts';
import { SAMPLE_REPORTS } from './sample-report.ts';

const run = promisify(execFile);

const given = (name: string) => ({ dataset_id: `dat_${name}`, sha256: hash(name) });

/** As a service would have had it done. */
const served: Report = {
  ...SAMPLE_REPORTS.searched,
  origin: {
    ...{ job_id: 'job_1', created_at: '2026-01-02T03:04:05.678Z', model_id: 'mdl_1' },
    ...{ scores: null, calibration: given('calibration'), selection: null, evaluation: given('evaluation') },
  },
};

describe('report.md', () => {
  test('keeps what names hold text, one row for each', () => {
    const text = renderReportMarkdown(SAMPLE_REPORTS.hostile);
    // Outside of code nothing is a tag but what folds.
    const prose = text.replace(/^(`{3,})[\s\S]*?^\1$/gm, '').replace(/<\/?(details|summary)>/g, '');
    assert.doesNotMatch(prose, /(?<!\\)<[a-z/!]/i);
    const rows = prose
      .slice(prose.indexOf('## Tensors'))
      .split('\n')
      .filter((line) => /^\| .*\d+\.\d %/.test(line));
    const { tensors } = SAMPLE_REPORTS.hostile;
    assert.ok(rows.length >= 50 && rows.length < tensors.length, `${rows.length} rows`);
    assert.ok(HOSTILE_NAMES.length < 50);
    const columns = rows.map((row) => row.match(/(?<!\\)\|/g)?.length);
    assert.deepEqual([...new Set(columns)], [6], 'no name makes a column');
    assert.match(prose, new RegExp(`And ${tensors.length - 50} more, in report\\.json`));
  });

  test('ends with recipe, hashes, dates, ids, environment and calls', () => {
    const text = renderReportMarkdown(served);
    const end = text.slice(text.indexOf('## Method'));
    for (const part of [
      JSON.stringify(served.recipe, null, 2),
      served.model.sha256,
      hash('calibration'),
      hash('evaluation'),
      'mdl\\_1',
      'job\\_1',
      '2026-01-02T03:04:05.678Z',
      'onnxruntime 1.30.0',
      ...served.artifacts.map(({ sha256 }) => sha256),
    ])
      assert.ok(end.includes(part), part);
  });
});

describe('the calls to repeat a job', () => {
  const asJson = (recipe: Report['recipe']) => JSON.parse(JSON.stringify(recipe));
  /** What a shell makes of them, with a curl that says by what it was called. */
  async function argumentsOf(report: Report): Promise<string[][]> {
    const script = `curl() { printf '%s\\0' "$@" end; }\n${repeatCalls(report)}`;
    const { stdout } = await run('sh', ['-c', script]);
    const calls = stdout.split('end\0').slice(0, -1);
    return calls.map((call) => call.split('\0').slice(0, -1));
  }

  test('name what the job was given, and its recipe as it is', async () => {
    const recipe = { ...served.recipe, include: ["it's", '$(touch x) `y` "z"\n'] };
    const [post, get] = await argumentsOf({ ...served, recipe });
    assert.equal(
      post.find((argument) => argument.includes('/v1/jobs')),
      'http://127.0.0.1:3000/v1/jobs',
    );
    assert.deepEqual(JSON.parse(post[post.indexOf('-d') + 1]), {
      ...{
        model_id: 'mdl_1',
        calibration_dataset_id: 'dat_calibration',
        evaluation_dataset_id: 'dat_evaluation',
      },
      recipe: asJson(recipe),
    });
    assert.equal(get.at(-1), 'http://127.0.0.1:3000/v1/jobs/job_1/report');
  });

  test('of a job without a service send the model along', async () => {
    const name = "a'b; rm.onnx";
    const model = { ...SAMPLE_REPORTS.searched.model, name };
    const [post, ...others] = await argumentsOf({ ...SAMPLE_REPORTS.searched, model });
    assert.equal(others.length, 0);
    assert.ok(post.includes(`model=@${name}`));
    const recipe = post.find((argument) => argument.startsWith('recipe=')) ?? assert.fail();
    assert.deepEqual(JSON.parse(recipe.slice('recipe='.length)), asJson(SAMPLE_REPORTS.searched.recipe));
  });
});
