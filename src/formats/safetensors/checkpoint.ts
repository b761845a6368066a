import { posix } from 'node:path';
import { EmpError } from '../../core/errors.ts';
import type { ByteSource } from '../byte-source.ts';
import {
  type ModelFiles,
  type ModelInventory,
  type ModelTensor,
  parameterCount,
  type Strangers,
} from '../model.ts';
import { readSafetensorsHeader, type SafetensorsTensor } from './header.ts';
import { classifyTensor } from './prunable.ts';
import { isObject, MAX_KEY_LENGTH, malformed, parseStrictJson, quote } from './strict-json.ts';

const INDEX_SUFFIX = '.safetensors.index.json';
/** The index of the largest published checkpoints, some 100,000 tensors, takes 10 MB. */
const MAX_INDEX_BYTES = 100_000_000;

/** A tensor and the file that holds it. */
interface PlacedTensor extends SafetensorsTensor {
  readonly file: string;
}

/**
 * The tensors of one `.safetensors` file, or of shards with their `*.safetensors.index.json`, in the order of the shards' names and of the data in
 * them. Reads headers and the index only.
 * @throws EmpError malformed_safetensors, missing_file, invalid_request (files that are not part of the model, unless these are to be ignored)
 */
export async function readSafetensorsInventory(
  files: ModelFiles,
  strangers: Strangers = 'refused',
): Promise<ModelInventory> {
  const indexes = Array.from(files.keys()).filter((file) => file.endsWith(INDEX_SUFFIX));
  if (indexes.length > 1) throw unwanted(indexes.slice(1), `there is a shard index already, ${indexes[0]}`);
  const [index] = indexes;
  const members = index === undefined ? [findSingleFile(files)] : [index];
  let placed: PlacedTensor[];
  if (index === undefined) {
    placed = await readPlacedTensors(files, members[0]);
  } else {
    const shardOf = await readIndex(files, index);
    const shards = [...new Set(shardOf.values())].sort();
    for (const shard of shards) members.push(shard);
    placed = await readShards(files, shards, shardOf, index);
  }
  const named = new Set(members);
  const extra = Array.from(files.keys()).filter((file) => !named.has(file));
  if (extra.length > 0 && strangers === 'refused') throw unwanted(extra, `the model is ${members[0]}`);
  return createInventory(members, placed);
}

function findSingleFile(files: ModelFiles): string {
  const found = Array.from(files.keys()).filter((file) => file.endsWith('.safetensors'));
  if (found.length > 1)
    throw new EmpError(
      'missing_file',
      `${found.length} .safetensors files need the index that says how they belong together: *${INDEX_SUFFIX}`,
    );
  if (found.length === 0) throw new EmpError('missing_file', 'there is no .safetensors file');
  return found[0];
}

/** Tensor name to shard file, from the index's `weight_map`; the shards lie beside the index. */
async function readIndex(files: ModelFiles, index: string): Promise<ReadonlyMap<string, string>> {
  return naming(index, async () => {
    const source = sourceOf(files, index);
    if (source.byteLength > MAX_INDEX_BYTES)
      throw malformed(`${source.byteLength} bytes are more than an index may have, ${MAX_INDEX_BYTES}`);
    const bytes = await source.read(0, source.byteLength);
    const content = parseStrictJson(new TextDecoder().decode(bytes));
    if (!isObject(content) || !isObject(content.weight_map))
      throw malformed('weight_map is missing: an object from tensor names to shard files');
    const shardOf = new Map<string, string>();
    for (const [tensor, shard] of Object.entries(content.weight_map)) {
      if (typeof shard !== 'string' || !isShardName(shard))
        throw malformed(
          `${quote(String(shard))} is not the name of a .safetensors file beside the index`,
          tensor,
        );
      shardOf.set(tensor, posix.join(posix.dirname(index), shard));
    }
    return shardOf;
  });
}

/** A relative path that stays inside the model's folder. */
function isShardName(shard: string): boolean {
  return (
    shard.length <= MAX_KEY_LENGTH &&
    shard.endsWith('.safetensors') &&
    shard.split('/').every((part) => /^[^\\\0]+$/.test(part) && !/^\.\.?$/.test(part))
  );
}

async function readShards(
  files: ModelFiles,
  shards: readonly string[],
  shardOf: ReadonlyMap<string, string>,
  index: string,
): Promise<PlacedTensor[]> {
  const missing = shards.filter((shard) => !files.has(shard));
  if (missing.length > 0)
    throw new EmpError(
      'missing_file',
      `${index} names ${missing.join(', ')}, which ${missing.length === 1 ? 'was' : 'were'} not uploaded`,
      missing.map((path) => ({ path, message: 'not uploaded' })),
    );
  const placed: PlacedTensor[] = [];
  const fileOf = new Map<string, string>();
  for (const shard of shards) {
    for (const tensor of await readPlacedTensors(files, shard)) {
      const { name } = tensor;
      const other = fileOf.get(name);
      if (other !== undefined) throw malformed(`is in two shards, ${other} and ${shard}`, name);
      if (!shardOf.has(name)) throw malformed(`is in ${shard}, but not in ${index}`, name);
      if (shardOf.get(name) !== shard)
        throw malformed(`is in ${shard}, but ${index} says ${shardOf.get(name)}`, name);
      fileOf.set(name, shard);
      placed.push(tensor);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!fileOf.has(name)) throw malformed(`${index} says it is in ${shard}, but it is not`, name);
  }
  return placed;
}

async function readPlacedTensors(files: ModelFiles, file: string): Promise<PlacedTensor[]> {
  const { tensors } = await naming(file, () => readSafetensorsHeader(sourceOf(files, file)));
  return tensors.map((tensor) => ({ ...tensor, file }));
}

function createInventory(members: readonly string[], placed: readonly PlacedTensor[]): ModelInventory {
  const shapes = new Map(placed.map(({ name, shape }) => [name, shape]));
  const tensors = placed.map(({ name, shape, dtype, file, offset, byteLength }): ModelTensor => {
    return {
      name,
      shape,
      dtype,
      ...classifyTensor(name, shape, dtype, (other) => shapes.get(other)),
      data: byteLength === 0 ? null : { encoding: 'dense', runs: [{ file, offset, byteLength }] },
    };
  });
  return { format: 'safetensors', files: members, tensors, nParameters: parameterCount(tensors) };
}

function sourceOf(files: ModelFiles, file: string): ByteSource {
  const source = files.get(file);
  if (!source) throw new EmpError('missing_file', `${file} is missing`);
  return source;
}

/** Says which of the model's files an error is about. */
async function naming<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    throw new EmpError(error.code, `${file}: ${error.message}`, error.findings);
  }
}

function unwanted(files: readonly string[], reason: string): EmpError {
  const findings = files.map((path) => ({ path, message: 'does not belong to the model' }));
  return new EmpError(
    'invalid_request',
    `unexpected file ${files.map(quote).join(', ')}: ${reason}`,
    findings,
  );
}
