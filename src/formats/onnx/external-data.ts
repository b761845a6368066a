import { posix } from 'node:path';
import { EmpError } from '../../core/errors.ts';
import type { ByteRange, ModelFiles } from '../model.ts';
import type { TensorProto } from './onnx-schema.ts';

const MAX_FINDINGS = 20;

/** The file that a tensor stands in, and the files around it. */
export interface TensorHome {
  /** The `.onnx` file's name among `files`. */
  readonly file: string;
  readonly files: ModelFiles;
  /** The `.onnx` file and those that tensors were found to stand in, in the order of first use; `externalRange` adds to it. */
  readonly used: Set<string>;
}

/** The name of the one `.onnx` file. Throws `invalid_request` for none or several. */
export function onnxFileName(files: ModelFiles): string {
  const names = [...files.keys()].filter((name) => name.endsWith('.onnx'));
  if (names.length === 1) return names[0];
  throw new EmpError(
    'invalid_request',
    `expected one .onnx file and its external data, found ${names.length} .onnx files`,
    names.slice(0, MAX_FINDINGS).map((path) => ({ path, message: 'one .onnx file is a model' })),
  );
}

/** The home of an `.onnx` file's tensors, Throws as `onnxFileName`. */
export function homeOf(files: ModelFiles): TensorHome {
  const file = onnxFileName(files);
  return { file, files, used: new Set([file]) };
}

/**
 * The range of a tensor kept outside the `.onnx` file (`data_location` EXTERNAL), `byteLength` bytes by its shape. The location must
 * stay inside the model's folder. Throws `malformed_onnx`, or `missing_file` where the file was not given.
 */
export function externalRange(
  tensor: TensorProto,
  name: string,
  byteLength: number,
  home: TensorHome,
): ByteRange {
  const entries = new Map(tensor.externalData.map((entry) => [entry.key, entry.value]));
  const file = resolveLocation(entries.get('location') ?? '', name, home.file);
  const source = home.files.get(file);
  if (source === undefined) {
    throw new EmpError(
      'missing_file',
      `tensor ${name} is kept in ${file}, which was not given: send it in the same upload`,
      [{ path: file, message: `needed by tensor ${name}` }],
    );
  }
  const offset = parseCount(entries.get('offset') ?? '0', 'offset', name);
  const length = parseCount(entries.get('length') ?? String(byteLength), 'length', name);
  if (length !== byteLength) {
    throw malformedTensor(name, `expected ${byteLength} bytes of external data, found length ${length}`);
  }
  if (offset + length > source.byteLength) {
    throw malformedTensor(
      name,
      `expected external data within the ${source.byteLength} bytes of ${file}, found ${offset} to ${offset + length}: was the file cut short, or is it of another model?`,
    );
  }
  home.used.add(file);
  return { file, offset, byteLength };
}

export function malformedTensor(name: string, message: string): EmpError {
  return new EmpError('malformed_onnx', `tensor ${name}: ${message}`, [{ path: name, message }]);
}

/** A location is relative to the `.onnx` file's folder; `./` is allowed, everything that could lead elsewhere is not. */
function resolveLocation(location: string, name: string, modelFile: string): string {
  const parts = location.split('/').filter((part) => part !== '.');
  const isPlain = parts.every((part) => part !== '' && part !== '..') && parts.length > 0;
  if (!isPlain || /[\\\0]|^[a-z]:/i.test(location)) {
    throw malformedTensor(
      name,
      `expected an external data location inside the model's folder, found ${JSON.stringify(location)}`,
    );
  }
  return posix.join(posix.dirname(modelFile), ...parts);
}

function parseCount(text: string, key: string, name: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw malformedTensor(
      name,
      `expected external data with a whole number as ${key}, found ${JSON.stringify(text)}`,
    );
  }
  return value;
}
