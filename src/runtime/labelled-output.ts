import { EmpError } from '../core/errors.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import { mainPath, type StoredModel } from '../formats/stored-model.ts';
import { GraphAppendix, writeAppended } from '../graph/appendix.ts';
import { readStoredGraph } from '../graph/interface.ts';
import { chooseLoss, type LabelLayout, type Labels, layOut, shapeBySample } from '../graph/label-layout.ts';
import { findFinalNode } from '../graph/measured-output.ts';
import type { OnnxModel, OnnxNode } from '../graph/onnx-model.ts';
import type { ModelRun } from './model-run.ts';
import { type ModelSession, openSession } from './session.ts';

/** What is fetched of a model to be held against labels. */
export interface LabelledOutput {
  readonly layout: LabelLayout;
  /** The model's output, or one that `appendix` adds: what the Sigmoid at its end reads, in float64. */
  readonly fetched: string;
  /** What errors call it. */
  readonly title: string;
  /** The model ends in Softmax: the numbers are probabilities of classes, no logits. */
  readonly isProbabilities: boolean;
  /** Of the output in a run. */
  readonly shape: readonly number[];
  /** To stand behind the `.onnx` file; null where nothing is added. */
  readonly appendix: Uint8Array | null;
}

/**
 * How labels are held against an output: as `chooseLoss` says, by the graph of the model. For binary cross-entropy logits are needed: onnxruntime's
 * float32 Sigmoid is exact to 1e-7 in all and 0 from -18 on, which as a loss is off by a fifth or infinite.
 * @param shape of the output in a run
 * @param sampleAxis of it, null where it is of one sample and has none
 * @param labels axis 0 the samples
 * @throws EmpError samples_mismatch; unsupported_model for a Sigmoid whose logits lie in a function
 */
export async function findLabelledOutput(
  stored: StoredModel,
  name: string,
  shape: readonly number[],
  sampleAxis: number | null,
  labels: Labels,
): Promise<LabelledOutput> {
  const model = await readStoredGraph(stored);
  const final = findFinalNode(model, name);
  const bySample = shapeBySample(shape, sampleAxis);
  const loss = chooseLoss({ name, shape: bySample, finalOp: final?.op ?? null }, labels);
  const layout = layOut(loss, bySample, labels);
  if (loss === 'binary_cross_entropy' && final !== null)
    return { ...readingLogits(model, name, final), layout, shape };
  const isProbabilities = loss === 'cross_entropy' && final?.op === 'Softmax';
  return { layout, fetched: name, title: `output '${name}'`, isProbabilities, shape, appendix: null };
}

/** Opens a model so that `output.fetched` can be fetched; a copy in the scratch folder is removed again at once. Throws as `openSession`. */
export async function openLabelled(
  model: StoredModel,
  { appendix }: LabelledOutput,
  { runtime, scratchDirectory }: Pick<ModelRun, 'runtime' | 'scratchDirectory'>,
): Promise<ModelSession> {
  if (appendix === null) return openSession(mainPath(model), runtime);
  await using scratch = await makeScratchFolder(scratchDirectory, 'logits-');
  return await openSession(await writeAppended(model, appendix, scratch.path), runtime);
}

function readingLogits(
  model: OnnxModel,
  name: string,
  { inputs: [logits], label }: OnnxNode,
): Omit<LabelledOutput, 'layout' | 'shape'> {
  if (!logits || model.graph.find(logits.name) === null) {
    throw new EmpError(
      'unsupported_model',
      `binary cross-entropy needs what ${label}, at the end of the model, reads, and that is computed in a function: export the model with functions inlined`,
      [{ path: name, message: `comes from ${label} in a function` }],
    );
  }
  const appendix = new GraphAppendix(model);
  const fetched = appendix.op('Cast', [logits.name], { to: TensorProto_DataType.DOUBLE });
  appendix.output(fetched, TensorProto_DataType.DOUBLE);
  const title = `what output '${name}' is the Sigmoid of`;
  return { fetched, title, isProbabilities: false, appendix: appendix.toBytes() };
}
