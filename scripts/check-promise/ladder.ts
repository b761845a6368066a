import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PairedRisk } from '../../src/core/risk-test.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { prune } from '../../src/pipeline/prune.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { Evaluator } from '../../src/runtime/evaluation.ts';
import type { RuntimeSettings } from '../../src/runtime/session.ts';
import type { Network } from '../reproduce/network.ts';

/** A pruned model, and every evaluation sample of it beside the dense one. */
export interface Rung {
  readonly sparsity: number;
  readonly accuracy: PairedRisk;
  readonly disagreement: PairedRisk;
}

/** Of magnitude with scope `global`, mildest first. */
const BETAS = Array.from({ length: 34 }, (_, i) => 1.3 - (1.1 * i) / 33);
const RUNTIME: RuntimeSettings = { providers: ['cpu'], threads: 2 };

/** @param folder for what exists only meanwhile */
export async function climbLadders(network: Network, folder: string): Promise<Rung[]> {
  const { model, identity, evaluation: samples } = network;
  const scratchDirectory = await mkdtemp(join(folder, 'emp-ladder-'));
  const { signal } = new AbortController();
  try {
    const context = { model, samples, scratchDirectory, runtime: RUNTIME, signal, onSamples() {} };
    await using evaluator = await Evaluator.open({ ...context, wantsDrift: true });
    const rungs: Rung[] = [];
    for (const beta of BETAS) {
      const outputDirectory = await mkdtemp(join(scratchDirectory, 'rung-'));
      const data = { scores: null, calibration: null, selection: null, evaluation: null };
      const recipe = recipeSchema.parse({ scope: 'global', beta });
      const input = { model, identity, ...data, recipe, outputDirectory, runtime: RUNTIME };
      const { summary } = await prune(input, { signal, onProgress() {} });
      const pruned = await readStoredModel(outputDirectory, [identity.name]);
      const { accuracy: [accuracy] = [], top1_agreement: [disagreement] = [] } = (
        await evaluator.compare(pruned)
      ).risks;
      if (!accuracy || !disagreement) throw new Error(`${network.name} gives no accuracy`);
      rungs.push({ sparsity: summary.sparsity, accuracy, disagreement });
      await rm(outputDirectory, { recursive: true });
    }
    return rungs;
  } finally {
    await rm(scratchDirectory, { recursive: true });
  }
}
