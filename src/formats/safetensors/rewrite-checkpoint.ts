import { open } from 'node:fs/promises';
import type { ByteSource } from '../byte-source.ts';
import { gather, type KeptPositions, keptShape } from '../gather.ts';
import { elementCount } from '../model.ts';
import { readSafetensorsHeader } from './header.ts';
import { createSafetensorsLayout } from './write.ts';

/**
 * Writes a safetensors file again, its tensors reduced to what is kept along each axis, in constant memory. Metadata and order stay.
 * @param kept by tensor name; others stay as they are
 */
export async function rewriteSafetensors(
  source: ByteSource,
  kept: ReadonlyMap<string, KeptPositions>,
  targetPath: string,
  signal: AbortSignal,
): Promise<void> {
  const { metadata, tensors } = await readSafetensorsHeader(source);
  const layout = createSafetensorsLayout(
    tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape: keptShape(shape, keptOf(name, shape)) })),
    Object.fromEntries(metadata),
  );
  await using target = await open(targetPath, 'wx');
  await target.writeFile(layout.header);
  for (const [i, { name, shape, offset, byteLength }] of tensors.entries()) {
    const read = (start: number, end: number) => source.read(offset + start, offset + end);
    let at = layout.tensors[i].offset;
    for await (const bytes of gather(read, shape, keptOf(name, shape), byteLength / elementCount(shape))) {
      signal.throwIfAborted();
      await target.write(bytes, 0, bytes.byteLength, at);
      at += bytes.byteLength;
    }
  }

  function keptOf(name: string, shape: readonly number[]): KeptPositions {
    return kept.get(name) ?? shape.map(() => null);
  }
}
