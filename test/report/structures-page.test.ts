import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { criteriaOf } from '../../src/recipe/recipe.ts';
import { GRANULARITY_NAMES, REPAIR_NAMES, SCOPE_NAMES } from '../../src/recipe/terms.ts';
import { renderReport } from '../../src/report/html/page.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { SAMPLE_REPORTS } from './sample-report.ts';

const { channels, heads, kanNodes, searched } = SAMPLE_REPORTS;

/** What is read, tags aside: one line for each. */
function textOf(report: Report): string {
  assert.ok(reportSchema.safeParse(report).success);
  return renderReport(report)
    .replace(/<(svg|style)[\s\S]*?<\/\1>/g, '')
    .replace(/<wbr>|<\/?bdi>|<\/?strong>|<\/?code>/g, '')
    .replace(/<[^>]*>/g, '\n')
    .replaceAll('\u00a0', ' ')
    .replace(/\s*\n\s*/g, '\n');
}

function assertSays(report: Report, ...lines: string[]): void {
  const text = textOf(report);
  for (const line of lines) assert.ok(text.includes(`\n${line}\n`), `"${line}" is missing`);
}

describe('the page on structures', () => {
  test('has words for every name of a recipe', () => {
    for (const granularity of GRANULARITY_NAMES) {
      const report = granularity === 'weight' ? searched : channels;
      const scopes = granularity === 'weight' ? SCOPE_NAMES : SCOPE_NAMES.filter((name) => name !== 'row');
      for (const criterion of criteriaOf(granularity)) {
        for (const scope of scopes) {
          const recipe = { ...report.recipe, criterion, granularity, scope, repair: REPAIR_NAMES };
          const text = textOf({ ...report, recipe });
          for (const name of [criterion, granularity, scope, ...REPAIR_NAMES])
            assert.match(text, new RegExp(`\\n${name}: \\S`), `no words for ${name}`);
        }
      }
    }
  });

  test('says at a glance how much smaller and faster the model is', () => {
    const { parameters } = channels.structures ?? {};
    assert.ok(parameters?.pruned);
    assertSays(
      channels,
      'Parameters',
      parameters.pruned.toLocaleString('en-US'),
      'was 1,234,567',
      'Download',
      'Speed',
      '0.99 × as fast',
      '12.5 ms, was 12.4 ms',
    );
    assertSays(channels, 'As they are', '4.95 MB');
    assertSays(kanNodes, 'Parameters', 'not written', 'a dry run', 'was 518,336', 'not timed');
    assert.doesNotMatch(textOf(searched), /\nParameters\n/);
  });

  test('says what size was asked for, and what the model takes of it', () => {
    const { beta: _, ...recipe } = channels.recipe;
    const sized: Report = {
      ...channels,
      recipe: { ...recipe, target: { max_bytes: 3_000_000 } },
      size_target: {
        ...{ name: 'max_bytes', limit: 3_000_000, reached: 2_310_000, met: true, beta: 0.8, largest: 0.8 },
        evaluations: [{ beta: 0.8, sparsity: 0.3, size: 2_310_000 }],
      },
      evaluation: null,
    };
    assertSays(
      sized,
      'the largest beta whose model is within 3.00 MB: beta 0.8, of 1 tried; it takes 2.31 MB of the 3.00 MB allowed',
    );
  });

  test('says what was asked of them', () => {
    assertSays(
      channels,
      'variance: the variance of what a channel gives over the calibration data, times W² of the weights that read it, summed',
      'layer: each family has an N_eff of its own; those of fewer than 8 share one',
      'the kept count of every family is rounded up to a multiple of 8',
      'those computed by weights matching layer*, conv1.* (13 families)',
    );
    assertSays(
      { ...heads, recipe: { ...heads.recipe, exclude: ['a*'], min_density: 0.1 } },
      'l2_norm: the l2 norm of the weights that compute a head, biases aside',
      'kept counts of families are not rounded',
      'all that can be removed, without those computed by a* (10 families)',
      'at least 10.0 % of every family is kept',
    );
    assertSays(
      kanNodes,
      'global: all selected families share one N_eff and one threshold',
      'all that can be removed (1 family)',
    );
    const { round_to: _, ...recipe } = channels.recipe;
    assert.doesNotMatch(textOf({ ...channels, recipe }), /\nRounding\n/);
  });

  test('compares both latencies, and the evenly spread model with its own sparsity', () => {
    assertSays(channels, 'Latency', 'Latency, extended', '12.41 ms', '19.13 ms', '11.99 ms', '−37.3 %');
    assertSays(channels, 'Uniform, less sparse');
    assert.match(
      textOf(channels),
      /at onnxruntime’s default level of graph optimization and at level extended/,
    );
    assertSays(heads, 'Uniform, as sparse');
    const { evaluation } = channels;
    assert.ok(evaluation?.uniform);
    const uniform = { ...evaluation.uniform, sparsity: 0.9 };
    assertSays({ ...channels, evaluation: { ...evaluation, uniform } }, 'Uniform, more sparse');
    assertSays(searched, 'Latency', 'Uniform, as sparse');
    assert.doesNotMatch(textOf(searched), /extended/);
  });

  test('says that they are gone from the file', () => {
    assert.match(textOf(channels), /Removed channels are not zeros but gone from the file/);
    assert.doesNotMatch(textOf(channels), /zeros in place|Removed weights/);
    assert.match(textOf(kanNodes), /\nWhere the KAN nodes go\n/);
    assert.match(textOf(kanNodes), /\nMass is a KAN node’s share of the sum of all scores\./);
    assert.match(textOf(channels), /Multiply-accumulates\n.*\n.*\n\d\d\.\d.%/);
    assert.match(textOf(searched), /Multiply-accumulates but by zeros\n/);
    assert.match(textOf(searched), /onnxruntime multiplies by zeros too/);
    assert.doesNotMatch(textOf(searched), /frozen|A family/);
    assert.doesNotMatch(textOf(kanNodes), /What is frozen/);
  });

  test('does not say that all below the threshold is removed where rounding keeps some of it', () => {
    const { structures, total } = kanNodes;
    assert.ok(structures && total.threshold);
    assertSays(kanNodes, `kept: ${total.n_keep}`, `removed: ${total.n - total.n_keep}`);
    const families = structures.families.map((family) => ({ ...family, threshold: 0.01 }));
    const raised = { ...kanNodes, structures: { ...structures, families } };
    assertSays(raised, 'above the threshold: kept');
    assert.match(textOf(raised), /what is kept lies below the curve/);
    assert.match(renderReport(raised), /are kept, some of them below it, and/);
  });
});
