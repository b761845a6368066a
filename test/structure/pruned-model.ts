import { toBinary } from '@bufbuild/protobuf';
import { gather, type KeptPositions, keptShape } from '../../src/formats/gather.ts';
import { byteWidth } from '../../src/formats/numbers.ts';
import { createElementReader } from '../../src/formats/onnx/element-reader.ts';
import { ModelProtoSchema, type TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import { dtypeOf, parseShape } from '../../src/formats/onnx/tensor-data.ts';
import { removeStructures } from '../../src/structure/removal.ts';
import type { AnalysedModel } from './analysed-model.ts';

/** The model without some structures, made in memory. */
export async function prunedModel(
  { proto, analysis }: AnalysedModel,
  removed: ReadonlySet<number>,
): Promise<Uint8Array> {
  for (const [tensor, kept] of removeStructures(analysis, removed, 'pruned_')) await shrink(tensor, kept);
  return toBinary(ModelProtoSchema, proto);
}

async function shrink(tensor: TensorProto, kept: KeptPositions): Promise<void> {
  const shape = parseShape(tensor.dims, tensor.name);
  const width = byteWidth(dtypeOf(tensor));
  const home = { file: '', files: new Map(), used: new Set<string>() };
  const read = createElementReader(tensor, tensor.name, shape, width, home);
  if (read === null) throw new TypeError(`the numbers of ${tensor.name} are out of reach`);
  const pieces: Uint8Array[] = [];
  for await (const piece of gather(read, shape, kept, width)) pieces.push(piece.slice());
  Object.assign(tensor, { floatData: [], doubleData: [], int32Data: [], int64Data: [], uint64Data: [] });
  tensor.rawData = Buffer.concat(pieces);
  tensor.dims = keptShape(shape, kept).map(BigInt);
}
