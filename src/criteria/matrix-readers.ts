import type { ModelInventory } from '../formats/model.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { StoredValues } from '../graph/stored-values.ts';
import type { StructureCriterion } from '../recipe/criteria.ts';
import { describeLayers, type FittableLayer } from '../repair/fittable-layers.ts';
import { placedBiases } from '../repair/layer-biases.ts';
import type { Family } from '../structure/families.ts';
import { cannotScore } from './capturable.ts';
import { checkLayers, NO_LAYER, type SidedFamily } from './layer-sides.ts';
import { matrixColumns } from './matrix-columns.ts';

/** A layer that reads structures. */
export interface MatrixReader {
  readonly layer: FittableLayer;
  /** Whether what comes in counts less its mean: a bias or a BatchNormalization behind it can take up what the means of its outputs shift by. */
  readonly isCentred: boolean;
  /** Of each structure: columns of the matrix, those of all groups counted through, `group * features + feature`. */
  readonly columns: readonly (readonly number[])[];
}

/**
 * The layers that read families and multiply by a stored matrix, by the weight. Runs nothing.
 * @throws EmpError unsupported_model naming the families of which no such layer is left, and why
 */
export function checkReaders(
  criterion: StructureCriterion,
  families: readonly SidedFamily[],
  model: OnnxModel,
  inventory: ModelInventory,
): Map<string, FittableLayer> {
  const weights = new Set(families.flatMap((family) => family.weights));
  const described = describeLayers(model, inventory, [...weights]);
  const stored = new StoredValues(model);
  return checkLayers(criterion, 'consumers', families, (weight) => {
    const layer = described.get(weight) ?? NO_LAYER;
    if (typeof layer === 'string') return layer;
    const computed = layer.places.find(
      ({ node }) => !node.inputs.some((input) => stored.rearrangedTensorOf(input) === weight),
    );
    return computed === undefined
      ? layer
      : `is one of the tensors that the matrix of node ${computed.node.title} is computed of`;
  });
}

/**
 * The readers of each family among `layers`; none of one that nothing reads.
 * @throws EmpError unsupported_model naming families whose structures are parts of columns
 */
export function readersOf(
  criterion: StructureCriterion,
  families: readonly Family[],
  layers: ReadonlyMap<string, FittableLayer>,
  model: OnnxModel,
  inventory: ModelInventory,
): MatrixReader[][] {
  const isCentred = centredLayers(model, inventory, layers);
  const shapes = new Map(inventory.tensors.map(({ name, shape }) => [name, shape]));
  return families.map(({ name, structures, isUnread }) => {
    const weights = new Set(structures[0].consumers.map(({ tensor }) => tensor));
    const readers = [...weights].flatMap((weight): MatrixReader[] => {
      const layer = layers.get(weight);
      const shape = shapes.get(weight);
      if (layer === undefined || shape === undefined) return [];
      const sites = structures.map(({ consumers }) => consumers.filter(({ tensor }) => tensor === weight));
      const columns = matrixColumns(layer, shape, sites);
      return columns === null ? [] : [{ layer, isCentred: isCentred(weight), columns }];
    });
    if (readers.length > 0 || isUnread) return readers;
    const message = 'its structures are parts of columns; exclude it or use criterion l2_norm';
    throw cannotScore(criterion, [{ path: name, message }]);
  });
}

function centredLayers(
  model: OnnxModel,
  inventory: ModelInventory,
  layers: ReadonlyMap<string, FittableLayer>,
): (weight: string) => boolean {
  const biases = placedBiases(model, inventory, [...layers.keys()]);
  return (weight) =>
    (layers.get(weight)?.places ?? []).every(({ node }, place) => {
      const uses = node.outputs[0]?.uses ?? [];
      return (
        typeof biases.get(weight)?.[place] === 'object' ||
        uses.some((use) => use.node.is('BatchNormalization'))
      );
    });
}
