import { basename, dirname } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { openFileSource } from '../formats/file-source.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import { GraphAppendix, writeAppended } from '../graph/appendix.ts';
import { chooseLoss, type LabelLayout, type Labels, layOut } from '../graph/label-layout.ts';
import { findFinalNode } from '../graph/measured-output.ts';
import { readOnnxModel } from '../graph/onnx-inventory.ts';
import type { OnnxModel, OnnxNode } from '../graph/onnx-model.ts';
import { type ModelSession, openSession, type RuntimeSettings } from './session.ts';

/** What is fetched of a model to be held against labels. */
export interface LabelledOutput {
  readonly layout: LabelLayout;
  /** The model's output, or one that `appendix` adds: what the Sigmoid at its end reads, in float64. */
  readonly fetched: string;
  /** What errors call it. */
  readonly title: string;
  /** The model ends in Softmax: the numbers are probabilities of classes, no logits. */
  readonly isProbabilities: boolean;
  /** To stand behind the `.onnx` file; null where nothing is added. */
  readonly appendix: Uint8Array | null;
}

/**
 * How labels are held against an output: as `chooseLoss` says, by the graph of the model. For binary cross-entropy logits are needed: onnxruntime's
 * float32 Sigmoid is exact to 1e-7 in all and 0 from -18 on, which as a loss is off by a fifth or infinite.
 * @param path of the `.onnx` file, of which the graph alone is read
 * @param shape of the output in a run
 * @throws EmpError samples_mismatch; unsupported_model for a Sigmoid whose logits lie in a function
 */
export async function findLabelledOutput(
  path: string,
  name: string,
  shape: readonly number[],
  labels: Labels,
): Promise<LabelledOutput> {
  await using source = await openFileSource(path);
  const model = await readOnnxModel(new Map([[basename(path), source]]));
  const final = findFinalNode(model, name);
  const loss = chooseLoss({ name, shape, finalOp: final?.op ?? null }, labels);
  const layout = layOut(loss, shape, labels);
  if (loss === 'binary_cross_entropy' && final !== null) return readingLogits(model, name, final, layout);
  const isProbabilities = loss === 'cross_entropy' && final?.op === 'Softmax';
  return { layout, fetched: name, title: `output '${name}'`, isProbabilities, appendix: null };
}

/** How models are opened that are held against labels. */
export interface LabelledOpening {
  readonly settings: RuntimeSettings;
  /** Where a copy may be written that is removed again at once. */
  readonly scratchDirectory: string;
  /** The model's files beside the `.onnx` file, by their paths from its folder. */
  readonly externalFiles: readonly string[];
}

/** Opens a model so that `output.fetched` can be fetched. Throws as `openSession`. */
export async function openLabelled(
  path: string,
  { appendix }: LabelledOutput,
  { settings, scratchDirectory, externalFiles }: LabelledOpening,
): Promise<ModelSession> {
  if (appendix === null) return openSession(path, settings);
  await using scratch = await makeScratchFolder(scratchDirectory, 'logits-');
  const files = [basename(path), ...externalFiles];
  return await openSession(await writeAppended(dirname(path), files, appendix, scratch.path), settings);
}

function readingLogits(
  model: OnnxModel,
  name: string,
  { inputs: [logits], label }: OnnxNode,
  layout: LabelLayout,
): LabelledOutput {
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
  return { layout, fetched, title, isProbabilities: false, appendix: appendix.toBytes() };
}
