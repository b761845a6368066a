import { basename, dirname } from 'node:path';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import type { Feeds } from '../../src/runtime/session.ts';
import { analyseGraphs } from '../../src/structure/analysed-graphs.ts';
import type { Structures } from '../../src/structure/families.ts';
import { StructuredModel } from '../../src/structure/structured-model.ts';
import { maskedWhole, type TracedGraphs, traceWhole } from '../../test/structure/whole-model.ts';
import { type FoundAttention, findAttentions } from './attentions.ts';
import { compareModels } from './feeds.ts';
import { parseMasks } from './masked-weights.ts';

const RUNTIME = { providers: ['cpu'], threads: 1 } as const;

/** A dense model analysed here as the service does it, which its artifacts are held against. */
export class DenseModel {
  readonly attentions: readonly FoundAttention[];
  readonly #structures: Structures;
  readonly #traced: TracedGraphs;

  private constructor(structures: Structures, traced: TracedGraphs) {
    this.#structures = structures;
    this.#traced = traced;
    const { graphs } = analyseGraphs(new OnnxModel(traced.proto), traced.trace);
    this.attentions = findAttentions(graphs[0].analysis);
  }

  /** @throws EmpError for what is wrong with the model */
  static async open(path: string, bytes: Uint8Array): Promise<DenseModel> {
    const model = await readStoredModel(dirname(path), [basename(path)]);
    const { signal } = new AbortController();
    await using opened = await StructuredModel.open({ model, runtime: RUNTIME, signal });
    return new DenseModel(opened.structures, await traceWhole(bytes));
  }

  /** How far a model without the structures that `masks` do not keep is from the dense one with a factor of 0 where they are summed over, and how many went. */
  async compare(
    pruned: Uint8Array,
    masks: Uint8Array,
    feeds: readonly Feeds[],
  ): Promise<{ readonly error: number; readonly removed: number }> {
    const kept = parseMasks(masks);
    const removed = new Set(
      this.#structures.families.flatMap(({ name, structures }) =>
        structures.filter((_, i) => kept.get(name)?.(i) === false).map(({ root }) => root),
      ),
    );
    const masked = maskedWhole(this.#traced, removed);
    return { error: await compareModels(pruned, masked, feeds), removed: removed.size };
  }
}
