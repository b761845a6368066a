import type { ByteSource } from './byte-source.ts';

/** A file that is something else than its name, or its place, says. */
export interface ForeignFile {
  /** What it is. */
  readonly what: string;
  /** How to get what is wanted. */
  readonly advice: string;
  /** `kind`: a model of another format. `accident`: no model, got in the place of one. */
  readonly how: 'kind' | 'accident';
  /** What the name of a model of this kind ends in, which makes it none that is foreign. */
  readonly suffix?: string;
}

/** Signatures lie at the start; in a zip the names of entries do, and in its directory at the end. */
const HEAD_BYTES = 4096;

const TORCH =
  'export it with torch.onnx.export(model, inputs, "model.onnx"), or save its weights with safetensors.torch.save_file(model.state_dict(), "model.safetensors")';
const KERAS = 'convert it with tf2onnx, or in Keras 3 call model.export("model.onnx", format="onnx")';
const UNPACK = 'unpack it, or send the model as .tar or .zip';
const FETCH = 'download the file itself';

interface Signature extends ForeignFile {
  fits(head: Uint8Array, text: string): boolean;
}

const startsWith =
  (...bytes: number[]) =>
  (head: Uint8Array) =>
    bytes.every((byte, i) => head[i] === byte);
const spells = (word: string, at: number) => (_: Uint8Array, text: string) => text.startsWith(word, at);
const isZip = startsWith(0x50, 0x4b, 0x03, 0x04);
const zipWith = (names: RegExp) => (head: Uint8Array, text: string) => isZip(head) && names.test(text);

/** The first that fits. `text` is the start of the file as latin1. */
const SIGNATURES: readonly Signature[] = [
  {
    what: 'a Git LFS pointer, which stands for the file in a repository',
    advice: 'run `git lfs pull` and send the file itself',
    how: 'accident',
    fits: spells('version https://git-lfs.github.com/spec/', 0),
  },
  {
    what: 'an HTML page, as a link to a page gives',
    advice: `${FETCH}, by its raw or resolve address`,
    how: 'accident',
    fits: (_, text) => /^(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)\b/i.test(text),
  },
  {
    what: 'an XML text, such as an OpenVINO IR or an error of a storage service',
    advice: 'send the ONNX model that it was made of',
    how: 'accident',
    fits: (_, text) => /^(\xef\xbb\xbf)?\s*<\?xml\b/.test(text),
  },
  {
    what: 'a JSON text, such as the answer of a server that refused the download',
    advice: FETCH,
    how: 'accident',
    fits: (_, text) => /^(\xef\xbb\xbf)?\s*\{\s*"/.test(text),
  },
  {
    what: 'a GGUF file of llama.cpp',
    advice: 'send the safetensors checkpoint that it was converted from',
    how: 'kind',
    fits: spells('GGUF', 0),
  },
  {
    what: 'a TensorFlow Lite model',
    advice:
      'convert the TensorFlow model with tf2onnx: python -m tf2onnx.convert --tflite model.tflite --output model.onnx',
    how: 'kind',
    fits: spells('TFL3', 4),
  },
  {
    what: 'a model in the ORT format of onnxruntime',
    advice: 'send the ONNX model that it was made of',
    how: 'kind',
    fits: spells('ORTM', 4),
  },
  {
    what: 'an HDF5 file, as Keras writes .h5',
    advice: KERAS,
    how: 'kind',
    fits: startsWith(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a),
  },
  {
    what: 'a Keras archive (.keras)',
    advice: KERAS,
    how: 'kind',
    fits: zipWith(/model\.weights\.h5|keras_version/),
  },
  {
    what: 'a TorchScript archive',
    advice: TORCH,
    how: 'kind',
    fits: zipWith(/constants\.pkl|\/code\/__torch__/),
  },
  {
    what: 'a PyTorch checkpoint of torch.save, whose loading runs its code',
    advice: TORCH,
    how: 'kind',
    fits: zipWith(/\/data\.pkl|\.pkl/),
  },
  {
    what: 'a NumPy archive (.npz)',
    advice: 'save the arrays with safetensors.numpy.save_file(arrays, "model.safetensors")',
    how: 'kind',
    fits: zipWith(/\.npy/),
  },
  { what: 'a zip archive', advice: 'send it as .zip', how: 'kind', fits: isZip },
  {
    what: 'a pickle, as older versions of torch.save write, whose loading runs its code',
    advice: TORCH,
    how: 'kind',
    fits: (head) => head[0] === 0x80 && head[1] >= 2 && head[1] <= 5,
  },
  {
    what: 'a NumPy array (.npy)',
    advice: 'arrays are data: give them as samples, labels or scores',
    how: 'kind',
    fits: spells('\x93NUMPY', 0),
  },
  { what: 'a gzip file', advice: UNPACK, how: 'kind', fits: startsWith(0x1f, 0x8b) },
  { what: 'a Zstandard file', advice: UNPACK, how: 'kind', fits: startsWith(0x28, 0xb5, 0x2f, 0xfd) },
  { what: 'an xz file', advice: UNPACK, how: 'kind', fits: startsWith(0xfd, 0x37, 0x7a, 0x58, 0x5a) },
  { what: 'a 7z archive', advice: UNPACK, how: 'kind', fits: startsWith(0x37, 0x7a, 0xbc, 0xaf) },
  {
    what: 'a safetensors file',
    advice: 'give it a name that ends in .safetensors',
    how: 'kind',
    suffix: '.safetensors',
    fits: (head, text) => head.length > 9 && head[7] === 0 && head[6] === 0 && text.startsWith('{"', 8),
  },
  {
    what: 'an ONNX model',
    advice: 'give it a name that ends in .onnx',
    how: 'kind',
    suffix: '.onnx',
    // `ir_version`, then the name of the producer, the graph or an opset.
    fits: (head) => head[0] === 0x08 && head[1] > 2 && head[1] < 16 && [0x12, 0x3a, 0x42].includes(head[2]),
  },
];

/** What a file is by its first bytes, and for the torch family by its last; null where nothing is known of it. */
export async function recognizeFile(source: ByteSource): Promise<ForeignFile | null> {
  const { byteLength } = source;
  if (byteLength === 0) return { what: 'empty', advice: `${FETCH} again`, how: 'accident' };
  const head = await source.read(0, Math.min(HEAD_BYTES, byteLength));
  const tail = await source.read(Math.max(0, byteLength - HEAD_BYTES), byteLength);
  const text = latin1(isZip(head) ? Buffer.concat([head, tail]) : head);
  return SIGNATURES.find((signature) => signature.fits(head, text)) ?? null;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
