import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BYTE_WIDTH, isFloatDtype } from '../../core/dtype.ts';
import { sumOf } from '../../core/statistics.ts';
import { openFileSource } from '../../formats/file-source.ts';
import { zeroIrregular } from '../../formats/irregular.ts';
import { type ByteRange, denseRange, type ModelTensor } from '../../formats/model.ts';
import { isQuantized, zeroQuantized } from '../../formats/quantized-weights.ts';
import { createSafetensorsLayout } from '../../formats/safetensors/write.ts';
import type { StoredModel } from '../../formats/stored-model.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import type { Decision, TensorScores } from './decide.ts';
import { blocksOf, type CopyPiece, chunksOf, sharedFloats, type WeightTarget } from './passes/operation.ts';

interface WriteInput {
  readonly model: StoredModel;
  readonly scores: TensorScores;
  readonly decision: Pick<Decision, 'decisions' | 'statistics'>;
  readonly dryRun: boolean;
  readonly directory: string;
  /** Whether `droppedSquares` is wanted. */
  readonly squares: boolean;
}

/** What became of one tensor. */
export interface WrittenTensor {
  readonly nKeep: number;
  /** Sum of the kept scores, scaled as the tensor's statistics are. */
  readonly keptSum: number;
  /** Sum of the squares of the dropped scores, likewise; null where it was not asked for. */
  readonly droppedSquares: number | null;
  /** Where its packed keep mask is in `masks.safetensors`. */
  readonly mask: { readonly offset: number; readonly byteLength: number };
}

/**
 * Writes `masks.safetensors` and, unless it is a dry run, the model's files with the dropped weights zeroed, quantized ones at their zero point, and every
 * other byte as it was.
 */
export async function writeWeights(input: WriteInput): Promise<WrittenTensor[]> {
  const { model, decision, dryRun, directory, squares } = input;
  const { tensors, ranges, runner } = input.scores;
  const masksPath = join(directory, MASKS_FILE);
  const layout = createSafetensorsLayout(
    ranges.map(({ name, n }) => ({ name, dtype: 'uint8', shape: [Math.ceil(n / 8)] })),
  );
  await createFile(masksPath, layout.fileByteLength, layout.header);
  if (!dryRun) await copyUntouched(input);

  const chunks = chunksOf(ranges, runner.chunkElements);
  const blocks = ranges.reduce((sum, { n }) => sum + blocksOf(n), 0);
  const partials = sharedFloats(blocks);
  const droppedSquares = squares ? sharedFloats(blocks) : null;
  const kept = sharedFloats(chunks.length);
  await runner.run(ranges, {
    kind: 'write',
    decisions: decision.decisions,
    masks: { path: masksPath, offsets: layout.tensors.map(({ offset }) => offset) },
    targets: tensors.map((tensor) => (dryRun ? null : targetOf(tensor, model, directory))),
    scaleExponents: decision.statistics.map(({ scaleExponent }) => scaleExponent),
    partials,
    droppedSquares,
    kept,
  });
  if (!dryRun) await zeroOthers(input, masksPath, layout.tensors);

  const nKeep = new Float64Array(ranges.length);
  for (const [i, { source }] of chunks.entries()) nKeep[source] += kept[i];
  let block = 0;
  return ranges.map(({ n }, i) => {
    const own = [block, block + blocksOf(n)] as const;
    block += blocksOf(n);
    return {
      nKeep: nKeep[i],
      keptSum: sumOf(partials.subarray(...own)),
      droppedSquares: droppedSquares && sumOf(droppedSquares.subarray(...own)),
      mask: layout.tensors[i],
    };
  });
}

/** Floats kept as one dense stretch of a file are edited chunk by chunk; anything odder and quantized weights afterwards. */
function targetOf(tensor: ModelTensor, model: StoredModel, directory: string): WeightTarget | null {
  const { dtype } = tensor;
  const range = passRange(tensor);
  if (range === null || !isFloatDtype(dtype)) return null;
  const { file, offset } = range;
  return {
    from: join(model.directory, file),
    to: join(directory, file),
    offset,
    byteWidth: BYTE_WIDTH[dtype],
  };
}

function passRange({ data, dtype }: ModelTensor): ByteRange | null {
  return isFloatDtype(dtype) ? denseRange(data) : null;
}

/** Creates the output files at full size, with all that no later pass writes. */
async function copyUntouched({ model, scores, directory }: WriteInput): Promise<void> {
  const pieces: CopyPiece[] = [];
  for (const file of model.inventory.files) {
    const from = join(model.directory, file);
    const to = join(directory, file);
    const { size } = await stat(from);
    await createFile(to, size);
    const written = scores.tensors
      .flatMap((tensor) => passRange(tensor) ?? [])
      .filter((run) => run.file === file)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const run of [...written, { offset: size, byteLength: 0 }]) {
      if (run.offset > offset) pieces.push({ from, to, offset, byteLength: run.offset - offset });
      offset = run.offset + run.byteLength;
    }
  }
  await scores.runner.copy(pieces);
}

async function zeroOthers(
  { scores, directory }: WriteInput,
  masksPath: string,
  masks: readonly { readonly offset: number; readonly byteLength: number }[],
): Promise<void> {
  await using source = await openFileSource(masksPath);
  for (const [i, tensor] of scores.tensors.entries()) {
    const { data, dtype } = tensor;
    const { offset, byteLength } = masks[i];
    if (isQuantized(tensor)) {
      await zeroQuantized(directory, tensor, {
        read: (start, end) => source.read(offset + start, offset + end),
      });
    } else if (data !== null && !denseRange(data) && isFloatDtype(dtype)) {
      const keepMask = await source.read(offset, offset + byteLength);
      await zeroIrregular(directory, data, keepMask, BYTE_WIDTH[dtype]);
    }
  }
}

async function createFile(path: string, byteLength: number, start?: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await using handle = await open(path, 'w');
  if (start) await handle.writeFile(start);
  await handle.truncate(byteLength);
}
