import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelTensor } from '../../src/formats/model.ts';
import { dequantizedChunks, isQuantized } from '../../src/formats/quantized-weights.ts';
import { parseSafetensorsHeader } from '../../src/formats/safetensors/header.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';

const FILE = 'model.onnx';
const { signal } = new AbortController();

/** Keep masks by the name of what they are of. */
export function parseMasks(bytes: Uint8Array): Map<string, (index: number) => boolean> {
  const { tensors } = parseSafetensorsHeader(bytes);
  return new Map(
    tensors.map(({ name, offset }) => [
      name,
      (index: number) => ((bytes[offset + (index >> 3)] >> (index & 7)) & 1) === 1,
    ]),
  );
}

/** What of a pruned model is not `mask * original`, bit by bit; null where nothing is. */
export async function findUnmasked(
  dense: Uint8Array,
  pruned: Uint8Array,
  masks: Uint8Array,
): Promise<string | null> {
  if (dense.length !== pruned.length) return `has ${pruned.length} bytes, dense ${dense.length}`;
  const directory = await mkdtemp(join(tmpdir(), 'emp-masked-'));
  try {
    const [original, left] = await Promise.all(
      [dense, pruned].map(async (bytes, i) => {
        const own = join(directory, String(i));
        await mkdir(own);
        await writeFile(join(own, FILE), bytes);
        return await readStoredModel(own, [FILE]);
      }),
    );
    return await compare(original, left, { dense, pruned, masks });
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function compare(
  original: StoredModel,
  left: StoredModel,
  bytes: Readonly<Record<'dense' | 'pruned' | 'masks', Uint8Array>>,
): Promise<string | null> {
  const kept = parseMasks(bytes.masks);
  // What is compared here is taken out of what has to be equal byte by byte.
  const [others, same] = [Uint8Array.from(bytes.pruned), bytes.dense];
  for (const tensor of original.inventory.tensors) {
    const isKept = kept.get(tensor.name);
    if (!isKept) continue;
    for (const { offset, byteLength } of tensor.data?.runs ?? [])
      others.set(same.subarray(offset, offset + byteLength), offset);
    const wrong = isQuantized(tensor)
      ? await findWrongNumber(original, left, tensor, isKept)
      : findWrongBytes(bytes, tensor, isKept);
    if (wrong !== null) return `${tensor.name}: weight ${wrong} is not what its mask says`;
  }
  const first = others.findIndex((byte, i) => byte !== same[i]);
  return first < 0 ? null : `byte ${first}, in no pruned tensor, has changed`;
}

/** Of floats, which may lie in pieces: a kept one has its bits, a dropped one none. */
function findWrongBytes(
  { dense, pruned }: Readonly<Record<'dense' | 'pruned', Uint8Array>>,
  { data, dtype }: ModelTensor,
  isKept: (index: number) => boolean,
): number | null {
  if (data?.encoding !== 'dense') return null;
  const width = Number(/\d+/.exec(dtype)?.[0]) / 8;
  let element = 0;
  for (const { offset, byteLength } of data.runs) {
    for (let at = offset; at < offset + byteLength; at += width, element++) {
      for (let byte = at; byte < at + width; byte++)
        if (pruned[byte] !== (isKept(element) ? dense[byte] : 0)) return element;
    }
  }
  return null;
}

async function findWrongNumber(
  original: StoredModel,
  left: StoredModel,
  tensor: Parameters<typeof dequantizedChunks>[1],
  isKept: (index: number) => boolean,
): Promise<number | null> {
  const [before, after] = await Promise.all(
    [original, left].map(async ({ directory }) => {
      const chunks: number[] = [];
      for await (const { weights } of dequantizedChunks(directory, tensor, signal)) chunks.push(...weights);
      return chunks;
    }),
  );
  const wrong = before.findIndex((weight, i) => after[i] !== (isKept(i) ? weight : 0));
  return wrong < 0 ? null : wrong;
}
