import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openSession } from '../../../src/runtime/session.ts';
import { RUNTIME, testFolder } from '../../criteria/run-criterion.ts';
import { encode, node } from '../../models/build-model.ts';
import { bytesOf, tensorIn } from '../../models/quantized-models.ts';
import { drawNumbers, drawScales, FORMATS, pack, quantizedTensor } from '../../models/quantized-numbers.ts';
import { weights } from '../../models/runtime-model.ts';
import { build, MICROSOFT } from '../../models/traced-model.ts';
import { random } from '../../structure/cases/rule-case.ts';
import { pruneFiles } from '../prune-files.ts';

const [EXPERTS, WIDTH, HIDDEN, BITS] = [3, 32, 192, 4];
const FORMAT = { ...FORMATS.uint8, bits: BITS };
/** `each` hidden units are one structure: those that share a byte of the layer that reads them, a block, or blocks whose zero points share a byte. */
const FORMS = [
  { name: 'by row', block: 0, isShifted: true, each: 2 },
  { name: 'in blocks', block: 16, isShifted: false, each: 16 },
  { name: 'in blocks, two zero points a byte', block: 16, isShifted: true, each: 32 },
] as const;

describe('hidden units of QMoE are scored by the weights that its bytes stand for', () => {
  for (const { name, block, isShifted, each } of FORMS) {
    test(name, async (t) => {
      const packed = (tensor: string, dims: readonly number[], numbers: readonly number[]) =>
        quantizedTensor(tensor, FORMATS.uint8, dims, [...pack(numbers, BITS)]);
      const layers = (
        [
          ['up', HIDDEN, WIDTH],
          ['down', WIDTH, HIDDEN],
        ] as const
      ).map(([layer, rows, features]) => {
        const blocks = block > 0 ? features / block : 1;
        const grid = block > 0 ? [EXPERTS, rows, blocks] : [EXPERTS, rows];
        const numbers = drawNumbers(FORMAT, [EXPERTS, rows, features], rows);
        const scales = drawScales(EXPERTS * rows * blocks, rows + 1);
        const zeros = drawNumbers(FORMAT, [EXPERTS, rows, blocks], rows + 2);
        const halved = grid.map((size, axis) => (axis === grid.length - 1 ? size / 2 : size));
        return {
          tensors: [
            packed(layer, [EXPERTS, rows, features / 2], numbers),
            weights(`${layer}_scale`, grid, scales),
            ...(isShifted ? [packed(`${layer}_zero`, halved, zeros)] : []),
          ],
          stoodFor: numbers.map((number, i) => {
            const at = block > 0 ? Math.floor(i / block) : Math.floor(i / features);
            return (number - (isShifted ? zeros[at] : 8)) * scales[at];
          }),
        };
      });
      const zeroPoints = isShifted ? ['', '', '', 'up_zero', 'down_zero'] : [];
      const model = build({
        inputs: [['x', ['batch', WIDTH]]],
        nodes: [
          node('MatMul', ['x', 'gate'], ['logits']),
          node(
            'QMoE',
            ['x', 'logits', 'up', 'up_scale', '', 'down', 'down_scale', '', ...zeroPoints],
            ['y'],
            { k: 2, expert_weight_bits: BITS, ...(block > 0 ? { block_size: block } : {}) },
            MICROSOFT,
          ),
        ],
        initializers: [random('gate', [WIDTH, EXPERTS]), ...layers.flatMap(({ tensors }) => tensors)],
      });
      const path = join(await testFolder(t), 'model.onnx');
      await writeFile(path, encode(model));
      const recipe = { granularity: 'channel', criterion: 'l2_norm', scope: 'layer', round_to: 1 };
      await using pruned = await pruneFiles(path, { ...recipe, budget: { sparsity: 0.4 } });
      const [family] = pruned.report.structures?.families ?? [];
      const count = HIDDEN / each;
      assert.equal(family.n, count);
      assert.ok(family.n_keep < count);

      const structureOf = (unit: number) => Math.floor(unit / each);
      const squares = new Float64Array(count);
      for (const [i, weight] of layers[0].stoodFor.entries())
        squares[structureOf(Math.floor(i / WIDTH) % HIDDEN)] += weight ** 2;
      const best = [...squares.keys()].sort((a, b) => squares[b] - squares[a]).slice(0, family.n_keep);
      const written = new Uint8Array(await readFile(join(pruned.directory, 'model.onnx')));
      const kept = (tensor: 'up' | 'down', unitAt: (byte: number) => number) => {
        const bytes = bytesOf(layers[tensor === 'up' ? 0 : 1].tensors[0]);
        return bytes.filter((_, at) => best.includes(structureOf(unitAt(at))));
      };
      const ofUp = kept('up', (at) => Math.floor((at * 2) / WIDTH) % HIDDEN);
      const ofDown = kept('down', (at) => (at * 2) % HIDDEN);
      assert.deepEqual(Buffer.from(bytesOf(tensorIn(written, 'up'))), Buffer.from(ofUp));
      assert.deepEqual(Buffer.from(bytesOf(tensorIn(written, 'down'))), Buffer.from(ofDown));
      await using session = await openSession(written, RUNTIME);
      assert.equal(session.outputs.length, 1);
    });
  }
});
