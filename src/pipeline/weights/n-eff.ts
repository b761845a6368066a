import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import { effectiveSampleSize, type ScoreStatistics } from '../../core/statistics.ts';
import { type MagnitudeContext, magnitudes } from '../../criteria/weights/magnitude.ts';
import type { ModelInventory, ModelTensor } from '../../formats/model.ts';
import { type Amount, countOf } from '../amount.ts';
import { Progress } from '../progress.ts';
import { openRunner } from './passes/open-runner.ts';
import { selectTensors } from './select.ts';

const AT_BETA_1: Amount = { beta: 1, sparsity: null, minDensity: 0 };

const figures = {
  n: z.int().describe('Weights.'),
  n_eff: z
    .number()
    .nullable()
    .describe('Effective sample size of their magnitudes, (sum |w|)^2 / sum w^2; null where all are zero.'),
  n_keep: z.int().describe('Weights that beta 1 keeps; all where all are zero.'),
  density: z.number().describe('n_keep / n.'),
};

/** What EMP by magnitude would keep of a model's weights, before any job. */
export const modelNEffSchema = z
  .object({
    data: z
      .array(z.object({ name: z.string().describe("By its name in the model's inventory."), ...figures }))
      .describe('Each prunable tensor on its own, as scope `layer` has it, in the order of the file.'),
    total: z.object(figures).describe('All of them as one vector, as scope `global` has it.'),
  })
  .meta({
    id: 'ModelNEff',
    example: {
      data: [
        { name: 'fc1.weight', n: 4, n_eff: 2, n_keep: 2, density: 0.5 },
        { name: 'fc2.weight', n: 2, n_eff: 2, n_keep: 2, density: 1 },
      ],
      total: { n: 6, n_eff: 4, n_keep: 4, density: 2 / 3 },
    },
  });
export type ModelNEff = z.output<typeof modelNEffSchema>;

/**
 * N_eff of every prunable tensor of a model, and of all together, by the passes that prune: its figures are those of a dry run by magnitude at beta 1.
 * @param context its scratch directory takes what quantized weights stand for
 * @throws EmpError no_prunable_tensors, and non_finite_score for weights that are NaN or infinite
 */
export async function nEffOfModel(context: MagnitudeContext): Promise<ModelNEff> {
  const tensors = prunableTensors(context.model.inventory);
  const ranges = await magnitudes(tensors, context);
  const n = ranges.reduce((sum, range) => sum + range.n, 0);
  const progress = new Progress(0, () => {});
  await using running = openRunner({ n, threads: 0, signal: context.signal, progress });
  const { statistics, bySource } = await running.runner.summarize(ranges);
  return {
    data: tensors.map(({ name }, i) => ({ name, ...figuresOf(bySource[i]) })),
    total: figuresOf(statistics),
  };
}

/** No recipe says which: where there are none the finding is about the model's file. */
function prunableTensors(inventory: ModelInventory): ModelTensor[] {
  try {
    return selectTensors(inventory, { scope: 'layer' });
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    const [path] = inventory.files;
    throw new EmpError(
      error.code,
      error.message,
      error.findings.map(({ message }) => ({ path, message })),
    );
  }
}

function figuresOf(statistics: ScoreStatistics): ModelNEff['total'] {
  const { n, max } = statistics;
  const n_keep = max === 0 ? n : countOf(AT_BETA_1, statistics);
  return { n, n_eff: max === 0 ? null : effectiveSampleSize(statistics), n_keep, density: n_keep / n };
}
