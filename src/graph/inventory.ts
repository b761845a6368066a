import { EmpError, type ErrorCode } from '../core/errors.ts';
import { openFiles } from '../formats/file-source.ts';
import { recognizeFile } from '../formats/foreign-file.ts';
import type { ModelFiles, ModelInventory, Strangers } from '../formats/model.ts';
import { readSafetensorsInventory } from '../formats/safetensors/checkpoint.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { readOnnxInventory } from './onnx-inventory.ts';

const SAFETENSORS = /\.safetensors(\.index\.json)?$/;
const PACKED = /\.(tar|zip|tgz|gz|bz2|xz|zst|7z|rar)$/i;
/** Files that are looked into where they are no model. */
const MAX_RECOGNIZED = 20;
const MALFORMED: readonly ErrorCode[] = ['malformed_onnx', 'malformed_safetensors'];
/** What no signature tells, by its name. */
const BY_NAME: readonly (readonly [RegExp, string])[] = [
  [
    /\.(pt|pth|bin|ckpt|pkl)$/,
    'pickled checkpoints are not read, since loading one runs its code; save it with safetensors',
  ],
  [
    /\.pb$/,
    'a TensorFlow SavedModel is converted with tf2onnx: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx',
  ],
  [
    /\.(mlmodel|mlpackage|engine|plan|trt|xml|tflite|h5|keras|gguf)$/i,
    'send the ONNX export, or the safetensors checkpoint, that it was made of',
  ],
  [PACKED, 'of archives .tar and .zip are unpacked, each as the only file of a model'],
];

/** The model that files in a folder are, by their names there. Throws as `readModelInventory`. */
export async function readStoredModel(
  directory: string,
  names: readonly string[],
  strangers: Strangers = 'refused',
): Promise<StoredModel> {
  await using opened = new AsyncDisposableStack();
  const files = await openFiles(directory, names, opened);
  return { directory, inventory: await readModelInventory(files, strangers) };
}

/**
 * What the files of a model hold, read by range: headers and graph, never the weights. Which reader applies is decided by the files' names.
 * Files beside safetensors that say how to use them (`config.json`, a tokenizer) belong to the upload, not to the model.
 * @param strangers what becomes of files that the model does not name: those of an archive may be anything
 * @throws EmpError `unsupported_model` for other formats, and what the readers throw
 */
export async function readModelInventory(
  files: ModelFiles,
  strangers: Strangers = 'refused',
): Promise<ModelInventory> {
  const names = [...files.keys()];
  try {
    if (names.some((name) => name.endsWith('.onnx'))) return await readOnnxInventory(files, strangers);
    if (names.some((name) => SAFETENSORS.test(name))) {
      const own = new Map([...files].filter(([name]) => SAFETENSORS.test(name)));
      return await readSafetensorsInventory(own, strangers);
    }
  } catch (error) {
    if (!(error instanceof EmpError) || !MALFORMED.includes(error.code)) throw error;
    throw (await foreignModel(files, error.code)) ?? error;
  }
  const foreign = await foreignModel(files, 'unsupported_model');
  if (foreign) throw foreign;
  const hint = BY_NAME.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1];
  throw new EmpError(
    'unsupported_model',
    `no .onnx or .safetensors file in ${names.slice(0, 3).join(', ') || 'an empty upload'}${hint ? `: ${hint}` : ''}`,
    names.slice(0, 20).map((path) => ({ path, message: 'is neither .onnx nor .safetensors' })),
  );
}

/** What the first file is that is something else than its name says; null where nothing is known of any. @param code of what is no model at all */
async function foreignModel(files: ModelFiles, code: ErrorCode): Promise<EmpError | null> {
  for (const [name, source] of [...files].slice(0, MAX_RECOGNIZED)) {
    const found = await recognizeFile(source);
    const isModel = name.endsWith('.onnx') || SAFETENSORS.test(name);
    // Numbers beside a model may begin like anything; a text is none of them.
    if (found === null || (found.how === 'kind' && !isModel && code !== 'unsupported_model')) continue;
    if (PACKED.test(name) || (found.suffix && name.endsWith(found.suffix))) continue;
    if (found.how === 'accident' && name.endsWith('.json')) continue;
    const message = `is ${found.what}: ${found.advice}`;
    return new EmpError(found.how === 'kind' ? 'unsupported_model' : code, `${name} ${message}`, [
      { path: name, message },
    ]);
  }
  return null;
}
