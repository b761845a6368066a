import { readStoredGraph } from '../graph/interface.ts';
import { findLayerSites } from '../graph/onnx-inventory.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { IndexMap } from '../graph/weights/index-map.ts';
import type { LayerActivations } from '../graph/weights/layer-sites.ts';
import type { Activations } from '../graph/weights/weights.ts';
import type { StructureCriterion } from '../recipe/criteria.ts';
import { type Family, placesOf, type Site, type Structure } from '../structure/families.ts';
import { cannotScore } from './capturable.ts';
import type { CriterionContext } from './context.ts';

/** One side of the layers that structures come out of, or go into. */
export interface LayerSide {
  readonly model: OnnxModel;
  readonly side: 'input' | 'output';
  /** Weights whose layer can be looked at. */
  readonly weights: readonly string[];
  /** Sites of a structure in these weights. */
  readonly sitesOf: (structure: Structure) => readonly Site[];
  /** The values that a weight's layer gets or gives. */
  places(weight: string): readonly Activations[];
  /** Of each of a weight's elements, the feature of these values. */
  features(weight: string): NonNullable<IndexMap>;
}

/**
 * The layers of `families` on the side of what computes structures or of what reads them. A weight that acts through another one, as a KAN's scaler does, has no side of its own and is passed over.
 * @throws EmpError unsupported_model naming the families of which no layer is left, and why
 */
export async function layersOf(
  criterion: StructureCriterion,
  role: 'producers' | 'consumers',
  families: readonly Family[],
  context: CriterionContext,
): Promise<LayerSide> {
  const model = await readStoredGraph(context.model);
  const sites = findLayerSites(model);
  const found = new Map<string, LayerActivations>();
  const reasons = new Map<string, string>();
  for (const { tensor } of placesOf(families, (structure) => structure[role])) {
    const layer =
      sites.get(tensor)?.[role === 'producers' ? 'outputs' : 'inputs'] ?? 'no layer multiplies by it';
    if (typeof layer === 'string') reasons.set(tensor, layer);
    else found.set(tensor, layer);
  }
  const sitesOf = (structure: Structure) => structure[role].filter(({ tensor }) => found.has(tensor));
  const findings = families.flatMap(({ name, structures: [first] }) => {
    if (sitesOf(first).length > 0) return [];
    const [reason] = first[role].map(({ tensor }) => `${tensor}: ${reasons.get(tensor)}`);
    const message = reason ?? `no layer ${role === 'producers' ? 'computes' : 'reads'} it`;
    return [{ path: name, message: `${message}; exclude it or use criterion l2_norm` }];
  });
  if (findings.length > 0) throw cannotScore(criterion, findings);
  const layerOf = (weight: string): LayerActivations => {
    const layer = found.get(weight);
    if (layer === undefined) throw new TypeError(`no layer of ${weight}`);
    return layer;
  };
  return {
    model,
    side: role === 'producers' ? 'output' : 'input',
    weights: [...found.keys()],
    sitesOf,
    places: (weight) => layerOf(weight).values,
    features: (weight) => layerOf(weight).features,
  };
}
