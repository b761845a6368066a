import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { type FileSource, openFileSource } from '../formats/file-source.ts';
import type { KeptPositions } from '../formats/gather.ts';
import { elementCount, type ModelInventory, type ModelTensor } from '../formats/model.ts';
import { rewriteSafetensors } from '../formats/safetensors/rewrite-checkpoint.ts';
import { mainPath, type StoredModel } from '../formats/stored-model.ts';
import type { Family, Site, Structures } from './families.ts';
import type { ReducedModel, ReducibleModel } from './reducible-model.ts';

/** Of a weight of an efficient-kan layer, `kan.layers.0.spline_weight`. */
const SUFFIX = '.spline_weight';
/** Hidden nodes of all layers, each some kilobytes of objects. */
const MAX_NODES = 500_000;
/** Of each layer, tensors `[out, in, ...]`; those behind a hidden node have its inputs on axis 1. */
const WEIGHTS = ['spline_weight', 'base_weight', 'spline_scaler'];
/** `[in, knots]`. */
const GRID = 'grid';

/** An efficient-kan checkpoint as one safetensors file: its hidden nodes are known by the names of its tensors. */
export class KanCheckpoint implements ReducibleModel {
  readonly structures: Structures;
  readonly #inventory: ModelInventory;
  readonly #source: FileSource;

  private constructor(structures: Structures, inventory: ModelInventory, source: FileSource) {
    this.structures = structures;
    this.#inventory = inventory;
    this.#source = source;
  }

  /** @throws EmpError unsupported_model for shards */
  static async open(model: StoredModel): Promise<KanCheckpoint> {
    const { inventory } = model;
    const [file, ...others] = inventory.files;
    if (others.length > 0) {
      const message = 'structures of a sharded checkpoint are not removed: send it as one .safetensors file';
      throw new EmpError('unsupported_model', message, [{ path: file, message }]);
    }
    const source = await openFileSource(mainPath(model));
    return new KanCheckpoint(kanStructures(inventory), inventory, source);
  }

  async write(
    removed: ReadonlySet<number>,
    targetDirectory: string,
    signal: AbortSignal,
  ): Promise<ReducedModel> {
    const shapes = new Map(this.#inventory.tensors.map(({ name, shape }) => [name, shape]));
    const kept = new Map<string, (readonly number[] | null)[]>();
    for (const { structures } of this.structures.families) {
      const left = structures.flatMap(({ root }, node) => (removed.has(root) ? [] : [node]));
      if (left.length === structures.length) continue;
      for (const { tensor, axis } of structures[0].sites) {
        const positions = kept.get(tensor) ?? (shapes.get(tensor) ?? []).map(() => null);
        kept.set(tensor, positions.with(axis, left));
      }
    }
    const [file] = this.#inventory.files;
    const path = join(targetDirectory, file);
    await mkdir(dirname(path), { recursive: true });
    await rewriteSafetensors(this.#source, kept as ReadonlyMap<string, KeptPositions>, path, signal);
    return { files: [file], kept };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}

/** The nodes between each layer and the next. */
export function kanStructures({ tensors }: ModelInventory): Structures {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  let root = 0;
  const families = tensors.flatMap(({ name, shape }): Family[] => {
    const [nodes] = shape;
    const layer = layerOf(name);
    if (layer === null) return [];
    const here = `${layer.stem}${layer.index}.`;
    const next = `${layer.stem}${Number(layer.index) + 1}.`;
    const reader = byName.get(`${next}spline_weight`);
    if (reader?.shape[1] !== nodes) return [];
    // A shape with a zero in it has no numbers that would bound its other sizes.
    if (elementCount(shape) === 0 || elementCount(reader.shape) === 0) return [];
    if (root + nodes > MAX_NODES) {
      const message = `the model has more than ${MAX_NODES} KAN nodes`;
      throw new EmpError('unsupported_model', message, [{ path: name, message }]);
    }
    const at = (layer: string, parts: readonly string[], axis: number) =>
      parts.flatMap((part) => placeOf(byName.get(layer + part), axis, nodes));
    const producers = at(here, WEIGHTS, 0);
    const consumers = at(next, WEIGHTS, 1);
    const sites = [...producers, ...consumers, ...at(next, [GRID], 0)];
    const structures = Array.from({ length: nodes }, (_, node) => {
      const own = (places: readonly Omit<Site, 'positions'>[]) =>
        places.map((place) => ({ ...place, positions: [node] }));
      return { root: root++, sites: own(sites), producers: own(producers), consumers: own(consumers) };
    });
    return [{ name, kind: 'kan_node', structures, isUnread: false }];
  });
  return { families, frozen: [], lasting: [] };
}

/** The number of a KAN layer and what is before it, by its weight's name. Names are hostile: no pattern that tries each of their digits. */
function layerOf(name: string): { readonly stem: string; readonly index: string } | null {
  if (!name.endsWith(SUFFIX)) return null;
  const end = name.length - SUFFIX.length;
  let start = end;
  while (start > 0 && isDigit(name.charCodeAt(start - 1))) start--;
  return start === end ? null : { stem: name.slice(0, start), index: name.slice(start, end) };
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

function placeOf(tensor: ModelTensor | undefined, axis: number, nodes: number): Omit<Site, 'positions'>[] {
  return tensor?.shape[axis] === nodes ? [{ tensor: tensor.name, axis }] : [];
}
