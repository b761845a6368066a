import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

const ROW = `  toy_sign: {
    weights: { score: 'one where a weight is positive', formula: '[W > 0]', needs: ['calibration', 'labels'] },
    structures: null,
    source: 'nobody, nowhere',
  },
`;
const FILE = `import type { WeightScorer } from '../context.ts';
import { score as random } from './random.ts';

/** Scores of this test alone. */
export const score: WeightScorer<'toy_sign'> = (tensors, context) => random(tensors, context);
`;

/** What the copy says of the criterion, asked in a process of its own. */
const QUESTIONS = `
import { REPORT } from './test/report/toy-report.ts';
import { renderOpenapi } from './src/http/openapi.ts';
import { planJob } from './src/intake/plan-job.ts';
import { weightScorer } from './src/criteria/registry.ts';
import { recipeSchema } from './src/recipe/recipe.ts';
import { criterionTable } from './scripts/vocabulary.ts';
import { renderReport } from './src/report/html/page.ts';

const recipe = recipeSchema.parse({ criterion: 'toy_sign' });
const tensor = { name: 'w', shape: [2], dtype: 'float32', role: 'weight', prunable: true, rows: null, data: { encoding: 'dense', runs: [] } };
const inventory = { format: 'onnx', files: ['m.onnx'], tensors: [tensor], nParameters: 2 };
const inputs = { model: { id: 'm', inventory, directory: '' }, scores: null, calibration: null, selection: null, evaluation: null };
const plan = (calibration) => planJob(recipe, { ...inputs, calibration }, null).then(() => null, ({ message, findings }) => ({ message, findings }));
const answers = {
  structures: recipeSchema.safeParse({ criterion: 'toy_sign', granularity: 'channel' }).error?.issues[0]?.message,
  code: typeof (await weightScorer('toy_sign')),
  withoutData: await plan(null),
  withoutLabels: await plan({ id: 'd', content: { nSamples: 1, inputs: [], labels: null } }),
  openapi: (await renderOpenapi()).replace(/\\s+/g, ' '),
  table: criterionTable('weights'),
  page: renderReport({ ...REPORT, recipe: { ...REPORT.recipe, criterion: 'toy_sign' } }),
};
console.log(JSON.stringify(answers));
`;

let copy = '';
before(async () => {
  copy = await mkdtemp(join(tmpdir(), 'emp-toy-'));
  for (const path of ['src', 'test', 'scripts', 'tsconfig.json', 'package.json'])
    await cp(join(ROOT, path), join(copy, path), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  await writeFile(join(copy, 'src/criteria/weights/toy-sign.ts'), FILE);
  await changeRows((rows) => rows.replace('export const CRITERIA = {\n', (start) => start + ROW));
});
after(() => rm(copy, { recursive: true }));

async function changeRows(change: (rows: string) => string): Promise<void> {
  const path = join(copy, 'src/recipe/criteria.ts');
  const rows = await readFile(path, 'utf8');
  assert.notEqual(change(rows), rows);
  await writeFile(path, change(rows));
}

/** What the type check finds in the sources of the copy. */
async function typeErrors(): Promise<string> {
  const settings = {
    extends: './tsconfig.json',
    include: ['src'],
    exclude: ['src/core/kernel/assembly', 'src/web'],
  };
  await writeFile(join(copy, 'tsconfig.src.json'), JSON.stringify(settings));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  return await run(process.execPath, [tsc, '-p', 'tsconfig.src.json'], { cwd: copy }).then(
    () => '',
    ({ stdout }) => stdout,
  );
}

describe('a criterion is a file and a row', () => {
  test('known to schema, job check, OpenAPI, the reference and reports once both are there', async () => {
    assert.equal(await typeErrors(), '');
    await writeFile(
      join(copy, 'test/report/toy-report.ts'),
      "import { SAMPLE_REPORTS } from './sample-report.ts';\nexport const REPORT = SAMPLE_REPORTS.searched;\n",
    );
    await writeFile(join(copy, 'ask.ts'), QUESTIONS);
    const { stdout } = await run(process.execPath, ['ask.ts'], { cwd: copy, maxBuffer: 2 ** 26 });
    const answers = JSON.parse(stdout);

    assert.equal(answers.code, 'function');
    assert.match(answers.structures, /^toy_sign scores no channel: expected (?!.*toy_sign)/);
    assert.deepEqual(answers.withoutData, {
      message: 'criterion toy_sign needs calibration data: calibration is missing',
      findings: [
        { path: '/recipe/criterion', message: 'is toy_sign, and calibration is missing' },
        { path: 'calibration', message: 'is missing, and the criterion is toy_sign', input: 'calibration' },
      ],
    });
    assert.match(
      answers.withoutLabels.message,
      /^criterion toy_sign needs calibration data with labels: calibration has no labels$/,
    );
    assert.match(answers.openapi, /- toy_sign/);
    assert.match(
      answers.openapi,
      /`toy_sign`: one where a weight is positive \(needs calibration data with labels\)/,
    );
    assert.ok(
      answers.table.includes(
        '| `toy_sign` | one where a weight is positive | [W > 0] | calibration data with labels | nobody, nowhere |',
      ),
      answers.table,
    );
    assert.match(answers.page, /<strong>toy_sign<\/strong>: one where a weight is positive/);
  });

  test('and does not compile without its row', async () => {
    await changeRows((rows) => rows.replace(ROW, ''));
    const errors = await typeErrors();
    assert.match(errors, /^src\/criteria\/weights\/toy-sign\.ts\(5,34\): error TS2344: .*'"toy_sign"'/);
    assert.equal(
      errors
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('src/')).length,
      1,
      errors,
    );
  });
});

test('every row has its code', async () => {
  const { CRITERION_NAMES, scoringOf } = await import('../../src/recipe/criteria.ts');
  const { structureScorer, weightScorer } = await import('../../src/criteria/registry.ts');
  for (const name of CRITERION_NAMES) {
    if (scoringOf(name, 'weights'))
      assert.equal(typeof (await weightScorer(name as never)), 'function', name);
    if (scoringOf(name, 'structures'))
      assert.equal(typeof (await structureScorer(name as never)), 'function', name);
  }
});
