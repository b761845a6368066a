import { EmpError } from '../core/errors.ts';
import { openFiles } from '../formats/file-source.ts';
import type { ModelFiles, ModelInventory, Strangers } from '../formats/model.ts';
import { readSafetensorsInventory } from '../formats/safetensors/checkpoint.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { readOnnxInventory } from './onnx-inventory.ts';

const SAFETENSORS = /\.safetensors(\.index\.json)?$/;
/** Formats whose loading runs code that comes with the file, named so that the refusal says what to do. */
const PICKLED = /\.(pt|pth|bin|ckpt|pkl)$/;
const PACKED = /\.(tar|zip|tgz|gz|bz2|xz|zst|7z|rar)$/i;

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
  if (names.some((name) => name.endsWith('.onnx'))) return readOnnxInventory(files, strangers);
  if (names.some((name) => SAFETENSORS.test(name))) {
    const own = new Map([...files].filter(([name]) => SAFETENSORS.test(name)));
    return readSafetensorsInventory(own, strangers);
  }
  const hint = names.some((name) => PICKLED.test(name))
    ? ': pickled checkpoints are not read, since loading one runs its code; save it with safetensors'
    : names.some((name) => PACKED.test(name))
      ? ': of archives .tar and .zip are unpacked, each as the only file of a model'
      : '';
  throw new EmpError(
    'unsupported_model',
    `no .onnx or .safetensors file in ${names.slice(0, 3).join(', ') || 'an empty upload'}${hint}`,
    names.slice(0, 20).map((path) => ({ path, message: 'is neither .onnx nor .safetensors' })),
  );
}
