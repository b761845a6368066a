import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { EmpError } from '../../core/errors.ts';
import { gather, type KeptPositions, keptShape } from '../gather.ts';
import { elementCount, type ModelFiles } from '../model.ts';
import { ByteParts, type DeferredBytes, writeParts } from './byte-parts.ts';
import { createElementReader, holdsNumbers, readRange } from './element-reader.ts';
import { externalRange, homeOf, malformedTensor, type TensorHome } from './external-data.ts';
import { ExternalLayout, externalEntries } from './external-layout.ts';
import { copyMessage, fieldHeader, layOutModel } from './message-layout.ts';
import {
  type ModelProto,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from './onnx-schema.ts';
import { packElements, unpackElements } from './packed-elements.ts';
import { clearPayload, forgetPayload, payloadOf, WHOLE_FIELDS } from './payload.ts';
import { dtypeOf, elementBits, labelOf, parseShape } from './tensor-data.ts';

/** Parsers of protobuf count a message's bytes in 32 bits with a sign. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;
const COPY_BYTES = 2 ** 20;

/**
 * Writes an edited skeleton as a model: all that it says, and the numbers of its tensors from the files that it was read from, of those in
 * `kept` what is kept along each axis (as `raw_data`, or in external data as before; their `dims` in `proto` are those stored). Other tensors
 * stay as they are stored. Numbers that a tensor itself holds, as small and new ones do, are written as it holds them; to give a
 * large stored tensor other numbers, put a new TensorProto in its place.
 *
 * The files keep their names; a file of external data holds its tensors one behind the other. `proto` is not changed, and memory does not depend on the
 * tensors' sizes. Nothing is written over a file that exists.
 * @returns names of the files written, the `.onnx` file first
 * @throws before anything is written: `malformed_onnx`, `missing_file`; `unsupported_model` where what is kept cannot be taken out of a
 * tensor (texts), or the `.onnx` file would exceed 2 GiB. While writing: `malformed_onnx` where a list of varints
 * that is reduced has fewer or larger numbers than its tensor. RangeError where `kept` does not fit a tensor's shape.
 */
export async function rewriteModel(
  proto: ModelProto,
  files: ModelFiles,
  kept: ReadonlyMap<TensorProto, KeptPositions>,
  targetDirectory: string,
  signal: AbortSignal,
): Promise<string[]> {
  const home = homeOf(files);
  const external = new ExternalLayout(files);
  const model = layOutModel(proto, (tensor) =>
    layOutTensor(tensor, kept.get(tensor) ?? null, home, external),
  );
  if (model.byteLength > MAX_MODEL_BYTES) {
    const message = `expected at most ${MAX_MODEL_BYTES} bytes, which is what an ONNX file can have, found ${model.byteLength}`;
    throw new EmpError(
      'unsupported_model',
      `${home.file} would be too large without external data: ${message}`,
      [{ path: home.file, message }],
    );
  }
  const targets = new Map([[home.file, model], ...external.files]);
  for (const [file, parts] of targets) {
    const path = join(targetDirectory, file);
    await mkdir(dirname(path), { recursive: true });
    await writeParts(path, parts, signal);
  }
  return [...targets.keys()];
}

/** A TensorProto's contents; its external data is given a place in `external`. */
function layOutTensor(
  tensor: TensorProto,
  kept: KeptPositions | null,
  home: TensorHome,
  external: ExternalLayout,
): ByteParts {
  const written = copyMessage(tensor);
  forgetPayload(written);
  const numbers = new ByteParts();
  const isExternal = tensor.dataLocation === TensorProto_DataLocation.EXTERNAL;
  if (kept !== null && isReduced(tensor, kept)) {
    const contents = reducedContents(tensor, kept, home);
    written.dims = keptShape(tensor.dims.map(Number), kept).map(BigInt);
    clearPayload(written);
    if (isExternal) {
      const offset = external.add(rangeOf(tensor, home).file, contents);
      written.externalData = externalEntries(tensor, offset, contents.byteLength);
    } else {
      numbers.push(fieldHeader(TensorProtoSchema.field.rawData.number, contents.byteLength));
      numbers.push(contents);
    }
  } else if (isExternal) {
    const range = rangeOf(tensor, home);
    const offset = external.addCopy(range, copied(range.file, range.offset, range.byteLength, home.files));
    written.externalData = externalEntries(tensor, offset, range.byteLength);
  } else if (!holdsNumbers(tensor)) {
    clearPayload(written);
    for (const { field, offset, byteLength } of payloadOf(tensor).runs) {
      if (field !== WHOLE_FIELDS) numbers.push(fieldHeader(field, byteLength));
      numbers.push(copied(home.file, offset, byteLength, home.files));
    }
  }
  const parts = new ByteParts();
  parts.push(toBinary(TensorProtoSchema, written));
  parts.append(numbers);
  return parts;
}

function isReduced(tensor: TensorProto, kept: KeptPositions): boolean {
  const shape = parseShape(tensor.dims, labelOf(tensor));
  return keptShape(shape, kept).some((size, axis) => size < shape[axis]);
}

/** What is kept, in elements of the tensor's width. */
function reducedContents(tensor: TensorProto, kept: KeptPositions, home: TensorHome): DeferredBytes {
  const name = labelOf(tensor);
  const bits = elementBits(tensor);
  if (bits === null) throw irreducible(name, `its ${dtypeOf(tensor)} elements have no fixed size`);
  const shape = parseShape(tensor.dims, name);
  const byteWidth = Math.max(1, bits / 8);
  const byteLength = Math.ceil((elementCount(keptShape(shape, kept)) * bits) / 8);
  const read = createElementReader(tensor, name, shape, byteWidth, home);
  if (read === null && byteLength > 0) throw irreducible(name, 'its numbers are in too many pieces');
  return {
    byteLength,
    async *read() {
      if (read === null) return;
      if (bits >= 8) yield* gather(read, shape, kept, byteWidth);
      else yield* packElements(gather(unpackElements(read, bits), shape, kept, 1), bits);
    },
  };
}

function irreducible(name: string, reason: string): EmpError {
  return new EmpError('unsupported_model', `parts of tensor ${name} cannot be removed: ${reason}`, [
    { path: name, message: reason },
  ]);
}

/** Where the external data of a tensor is, outside the `.onnx` file. */
function rangeOf(tensor: TensorProto, home: TensorHome) {
  const name = labelOf(tensor);
  const bits = elementBits(tensor);
  if (bits === null) {
    throw malformedTensor(name, `expected numbers in external data, found ${dtypeOf(tensor)}`);
  }
  const byteLength = Math.ceil((elementCount(parseShape(tensor.dims, name)) * bits) / 8);
  const range = externalRange(tensor, name, byteLength, home);
  if (range.file === home.file) {
    throw malformedTensor(name, `expected external data outside ${home.file}, which is the model itself`);
  }
  return range;
}

function copied(file: string, offset: number, byteLength: number, files: ModelFiles): DeferredBytes {
  return {
    byteLength,
    async *read() {
      for (let start = offset; start < offset + byteLength; start += COPY_BYTES) {
        yield await readRange(files, file, start, Math.min(start + COPY_BYTES, offset + byteLength));
      }
    },
  };
}
