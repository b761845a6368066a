import { elementCount } from '../../src/formats/model.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { writeArray } from '../runtime/samples.ts';
import type { FusedPair } from './fused-models.ts';
import { gaussians } from './small-model.ts';

export const N_FUSED_SAMPLES = 24;

/** Samples of a pair's models, labelled. */
export async function writeFusedSamples(folder: string, { shape }: FusedPair): Promise<SampleSet> {
  const dims = [N_FUSED_SAMPLES, ...shape];
  const x = await writeArray(folder, 'x', 'float32', dims, gaussians(elementCount(dims), 5));
  const isSequence = shape.length === 2;
  const labelled = isSequence ? [N_FUSED_SAMPLES, shape[0]] : [N_FUSED_SAMPLES];
  const labels = BigInt64Array.from({ length: elementCount(labelled) }, (_, i) => BigInt((i * 7) % 3));
  return {
    nSamples: N_FUSED_SAMPLES,
    inputs: [x],
    labels: await writeArray(folder, 'labels', 'int64', labelled, labels),
  };
}
