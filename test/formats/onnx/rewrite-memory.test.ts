import assert from 'node:assert/strict';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { openFileSource } from '../../../src/formats/file-source.ts';
import type { KeptPositions } from '../../../src/formats/gather.ts';
import { TensorProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { rewriteModel } from '../../../src/formats/onnx/rewrite-model.ts';
import { readSkeleton } from '../../../src/formats/onnx/skeleton.ts';

const [ROWS, COLUMNS] = [8192, 9600];
const BYTE_LENGTH = 4 * ROWS * COLUMNS;
const MAX_GROWTH_BYTES = 150e6;

// In a file of its own: the peak is one of the whole process.
test('memory does not grow with a tensor of 300 MB, copied or reduced', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-rewrite-memory-'));
  try {
    await writeSparseModel(join(directory, 'model.onnx'));
    await using source = await openFileSource(join(directory, 'model.onnx'));
    const skeleton = await readSkeleton(source, 'model.onnx');
    const [weight] = skeleton.graph?.initializer ?? [];
    const even = Array.from({ length: COLUMNS / 2 }, (_, at) => 2 * at);
    const files = new Map([['model.onnx', source]]);
    const { signal } = new AbortController();
    const peak = peakBytes();
    for (const [name, kept] of [
      ['copied', [null, null]],
      ['reduced', [null, even]],
    ] as [string, KeptPositions][]) {
      const target = join(directory, name);
      await rewriteModel(skeleton, files, new Map([[weight, kept]]), target, signal);
      const { size } = await stat(join(target, 'model.onnx'));
      const expected = name === 'copied' ? BYTE_LENGTH : BYTE_LENGTH / 2;
      assert.ok(size > expected && size < expected + 100, `${size} bytes`);
    }
    const growth = peakBytes() - peak;
    assert.ok(growth < MAX_GROWTH_BYTES, `memory grew by ${growth} bytes`);
  } finally {
    await rm(directory, { recursive: true });
  }
});

function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** One float32 initializer, all zeros, that takes no space on the disk. */
async function writeSparseModel(path: string): Promise<void> {
  const parts = create(TensorProtoSchema, { name: 'w', dims: [ROWS, COLUMNS].map(BigInt), dataType: 1 });
  const raw = new BinaryWriter().tag(9, WireType.LengthDelimited).uint64(BYTE_LENGTH).finish();
  let head: Uint8Array = Buffer.concat([toBinary(TensorProtoSchema, parts), raw]);
  for (const field of [5, 7]) {
    const byteLength = head.byteLength + BYTE_LENGTH;
    head = new BinaryWriter().tag(field, WireType.LengthDelimited).uint64(byteLength).raw(head).finish();
  }
  await using handle = await open(path, 'w');
  await handle.write(head);
  await handle.truncate(head.byteLength + BYTE_LENGTH);
}
