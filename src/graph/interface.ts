import { create } from '@bufbuild/protobuf';
import { EmpError } from '../core/errors.ts';
import { openFileSource } from '../formats/file-source.ts';
import {
  TensorProtoSchema,
  type TensorShapeProto_Dimension,
  type TypeProto,
} from '../formats/onnx/onnx-schema.ts';
import { dtypeOf } from '../formats/onnx/tensor-data.ts';
import { mainPath, type StoredModel } from '../formats/stored-model.ts';
import { readOnnxModel } from './onnx-inventory.ts';
import type { OnnxModel } from './onnx-model.ts';
import { takenApart } from './passes/take-apart.ts';

/** What has to be fed to a model under one name. */
export interface OnnxInput {
  readonly name: string;
  /** Null where the model does not say. */
  readonly dtype: string | null;
  /** A size, the name of one that is open, or null for one without a name; null in all where the model does not say. */
  readonly dims: readonly (number | string | null)[] | null;
}

const KINDS: Readonly<Record<string, string>> = {
  sequenceType: 'a sequence',
  mapType: 'a map',
  optionalType: 'an optional value',
  sparseTensorType: 'a sparse tensor',
  opaqueType: 'an opaque value',
};

/**
 * The graph's inputs that are not initializers, in its order.
 * @throws EmpError `unsupported_model` where one is no tensor: nothing that is uploaded could be fed to it
 */
export function modelInputs({ proto, graph }: OnnxModel): OnnxInput[] {
  const defaults = new Set(graph.initializers.map(({ name }) => name));
  const inputs = (proto.graph?.input ?? []).filter(({ name }) => !defaults.has(name));
  return inputs.map(({ name, type }) => ({ name, ...describeType(type, name) }));
}

/** The graph's outputs, described as inputs are; the dtype is `other` for one that is no tensor. */
export function modelOutputs({ proto }: OnnxModel): OnnxInput[] {
  return (proto.graph?.output ?? []).map(({ name, type }) => {
    const isOther = type?.value.case !== undefined && type.value.case !== 'tensorType';
    return { name, ...(isOther ? { dtype: 'other', dims: null } : describeType(type, name)) };
  });
}

/** The graph of an ONNX model, what is fused in it taken apart; its weights are not read. Throws as `readOnnxModel`. */
export async function readStoredGraph(model: StoredModel): Promise<OnnxModel> {
  return takenApart(await readWholeGraph(model));
}

/** The same with fused nodes as they are. Throws as `readOnnxModel`. */
export async function readWholeGraph(model: StoredModel): Promise<OnnxModel> {
  await using source = await openFileSource(mainPath(model));
  return await readOnnxModel(new Map([[model.inventory.files[0], source]]));
}

function describeType(type: TypeProto | undefined, name: string): Omit<OnnxInput, 'name'> {
  if (type?.value.case === undefined) return { dtype: null, dims: null };
  if (type.value.case !== 'tensorType') {
    throw new EmpError(
      'unsupported_model',
      `the model's input ${JSON.stringify(name)} takes ${KINDS[type.value.case]}: only models whose inputs are tensors can be run`,
      [{ path: name, message: 'must take a tensor' }],
    );
  }
  const { elemType, shape } = type.value.value;
  const dtype = elemType === 0 ? null : dtypeOf(create(TensorProtoSchema, { dataType: elemType }));
  return { dtype, dims: shape ? shape.dim.map(describeDimension) : null };
}

/** Exporters write open sizes as -1 too, and onnxruntime takes them so. */
function describeDimension({ value }: TensorShapeProto_Dimension): number | string | null {
  if (value.case === 'dimValue') return value.value < 0n ? null : Number(value.value);
  return value.value || null;
}
