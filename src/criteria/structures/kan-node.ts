import { EmpError } from '../../core/errors.ts';
import { elementCount, type ModelTensor } from '../../formats/model.ts';
import type { CriterionContext, StructureScorer } from '../context.ts';
import { readWeights } from '../weight-chunks.ts';

const SPLINES = /spline_weight$/;
const SCALER = 'spline_scaler';

/**
 * `s = max(max_i m_in[node, i], max_o m_out[o, node])`, `m` the mean over spline coefficients of `|spline_weight * spline_scaler|`: what is the largest of a node's incoming and outgoing
 * splines. Weights are efficient-kan's: `spline_weight` [out, in, coefficients], `spline_scaler` [out, in] (1 where there is none).
 */
export const score: StructureScorer<'kan_node'> = async (families, context) => {
  const tensors = new Map(context.model.inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const known = new Map<string, Magnitudes>();
  const scores: Float64Array[] = [];
  for (const { structures } of families) {
    const family = new Float64Array(structures.length);
    for (const [i, { sites }] of structures.entries()) {
      for (const { tensor, axis, positions } of sites) {
        const stored = tensors.get(tensor);
        if (!stored || !SPLINES.test(tensor) || axis > 1) continue;
        const magnitudes = known.get(tensor) ?? (await magnitudesOf(stored, tensors, context));
        known.set(tensor, magnitudes);
        for (const position of positions) {
          family[i] = Math.max(family[i], magnitudes[axis === 0 ? 'largestIn' : 'largestOut'][position]);
        }
      }
    }
    scores.push(family);
  }
  return scores;
};

/** Of one layer. */
interface Magnitudes {
  /** By output node, the largest mean over its inputs. */
  readonly largestIn: Float64Array;
  /** By input node, over its outputs. */
  readonly largestOut: Float64Array;
}

async function magnitudesOf(
  splines: ModelTensor,
  tensors: ReadonlyMap<string, ModelTensor>,
  context: CriterionContext,
): Promise<Magnitudes> {
  const [outputs, inputs, ...rest] = splines.shape;
  const coefficients = elementCount(rest);
  const scaler = tensors.get(splines.name.replace(SPLINES, SCALER));
  if (scaler && elementCount(scaler.shape) !== outputs * inputs) {
    const message = `has shape [${scaler.shape}], expected [${outputs}, ${inputs}]`;
    throw new EmpError('unsupported_model', `${scaler.name} ${message}`, [{ path: scaler.name, message }]);
  }
  const [weights, scales] = [
    await readWeights(splines, context),
    scaler ? await readWeights(scaler, context) : null,
  ];
  const [largestIn, largestOut] = [new Float64Array(outputs), new Float64Array(inputs)];
  for (let edge = 0; edge < outputs * inputs; edge++) {
    let sum = 0;
    for (let i = edge * coefficients; i < (edge + 1) * coefficients; i++) sum += Math.abs(weights[i]);
    const mean = (sum / coefficients) * Math.abs(scales?.[edge] ?? 1);
    const [output, input] = [Math.floor(edge / inputs), edge % inputs];
    largestIn[output] = Math.max(largestIn[output], mean);
    largestOut[input] = Math.max(largestOut[input], mean);
  }
  return { largestIn, largestOut };
}
