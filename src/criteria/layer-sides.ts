import { readStoredGraph } from '../graph/interface.ts';
import { findLayerSites } from '../graph/onnx-inventory.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { LayerActivations } from '../graph/weights/layer-sites.ts';
import type { StructureCriterion } from '../recipe/criteria.ts';
import { consumersOf, type Family, producersOf, type Site, type Structure } from '../structure/families.ts';
import { cannotScore } from './capturable.ts';
import type { CriterionContext } from './context.ts';

export const NO_LAYER = 'no layer multiplies by it';

/** One side of the layers that structures come out of, or go into. */
export interface LayerSide {
  readonly model: OnnxModel;
  readonly side: 'input' | 'output';
  /** Weights whose layer can be looked at. */
  readonly weights: readonly string[];
  /** Sites of a structure in these weights. */
  readonly sitesOf: (structure: Structure) => readonly Site[];
  /** What a weight's layer gets or gives. */
  partsOf(weight: string): LayerActivations;
}

/** What is asked of a family before it is scored by the layers on one side of it. */
export interface SidedFamily {
  readonly name: string;
  /** The weights on that side. */
  readonly weights: readonly string[];
  readonly isUnread: boolean;
}

/**
 * The layers of the weights on one side of families, by the weight. Runs nothing.
 * @throws EmpError as `checkLayers`
 */
export function checkSides(
  criterion: StructureCriterion,
  role: 'producers' | 'consumers',
  families: readonly SidedFamily[],
  model: OnnxModel,
): Map<string, LayerActivations> {
  const sites = findLayerSites(model);
  const side = role === 'producers' ? 'outputs' : 'inputs';
  return checkLayers(criterion, role, families, (weight) => sites.get(weight)?.[side] ?? NO_LAYER);
}

/**
 * What is known of the layers of the weights on one side of families, by the weight. What nothing reads needs none to be scored by what reads it.
 * @param layerOf a text says why a weight's layer cannot be looked at
 * @throws EmpError unsupported_model naming the families of which no layer is left, and why
 */
export function checkLayers<Layer extends object>(
  criterion: StructureCriterion,
  role: 'producers' | 'consumers',
  families: readonly SidedFamily[],
  layerOf: (weight: string) => Layer | string,
): Map<string, Layer> {
  const found = new Map<string, Layer>();
  const reasons = new Map<string, string>();
  for (const weight of new Set(families.flatMap(({ weights }) => weights))) {
    const layer = layerOf(weight);
    if (typeof layer === 'string') reasons.set(weight, layer);
    else found.set(weight, layer);
  }
  const findings = families.flatMap(({ name, weights, isUnread }) => {
    if (weights.some((weight) => found.has(weight)) || (isUnread && role === 'consumers')) return [];
    const [reason] = weights.map((weight) => `${weight}: ${reasons.get(weight)}`);
    const message = reason ?? (role === 'producers' ? 'no layer computes it' : 'it is read without weights');
    return [{ path: name, message: `${message}; exclude it or use criterion l2_norm` }];
  });
  if (findings.length > 0) throw cannotScore(criterion, findings);
  return found;
}

/**
 * The layers of `families` on the side of what computes structures or of what reads them. A weight that acts through another one, as a KAN's scaler does, has no side of its own and is passed over.
 * @throws EmpError as `checkSides`
 */
export async function layersOf(
  criterion: StructureCriterion,
  role: 'producers' | 'consumers',
  families: readonly Family[],
  context: CriterionContext,
): Promise<LayerSide> {
  const model = await readStoredGraph(context.model);
  const weightsOf = role === 'producers' ? producersOf : consumersOf;
  const sided = families.map((family) => ({ ...family, weights: weightsOf(family) }));
  const found = checkSides(criterion, role, sided, model);
  const sitesOf = (structure: Structure) => structure[role].filter(({ tensor }) => found.has(tensor));
  return {
    model,
    side: role === 'producers' ? 'output' : 'input',
    weights: [...found.keys()],
    sitesOf,
    partsOf: (weight) => found.get(weight) ?? [],
  };
}
