import { EmpError } from '../core/errors.ts';
import { IGNORED_LABEL } from '../formats/sample-set.ts';
import { type LabelLayout, type LabelledBatch, type LossKind, nameLabel } from '../graph/label-layout.ts';

interface LabelRule {
  /** Whether `IGNORED_LABEL` marks what does not count, and is no number like others. */
  readonly ignores: boolean;
  isValid(label: number, classes: number): boolean;
  /** What is wrong with a label that is not valid. */
  advice(label: number, classes: number): string;
}

const MARKS = `${IGNORED_LABEL} marks what does not count`;

const RULES: Readonly<Record<LossKind, LabelRule>> = {
  cross_entropy: {
    ignores: true,
    isValid: (label, classes) => Number.isInteger(label) && label >= 0 && label < classes,
    advice(label, classes) {
      const other = Number.isInteger(label) ? '' : "; floats for squared errors have the output's shape";
      return `the model's classes are 0 to ${classes - 1}, and ${MARKS}${other}`;
    },
  },
  binary_cross_entropy: {
    ignores: true,
    isValid: (label) => label >= 0 && label <= 1,
    advice: () => `the model ends in Sigmoid, so that labels are from 0 to 1, and ${MARKS}`,
  },
  mean_squared_error: {
    ignores: false,
    // As float32 they go into the graph of gradients.
    isValid: (label) => Number.isFinite(Math.fround(label)),
    advice: () => 'squared errors need finite numbers in the range of float32',
  },
};

/** Whether the loss is taken of a label. */
export function counts(label: number, loss: LossKind): boolean {
  return label !== IGNORED_LABEL || !RULES[loss].ignores;
}

/**
 * Checks the labels of a batch, row-major.
 * @throws EmpError invalid_labels naming the sample of the first that the loss cannot be taken of
 */
export function checkLabels(labels: Float64Array, batch: LabelledBatch, layout: LabelLayout): void {
  const { loss, classes } = layout;
  const { isValid, advice } = RULES[loss];
  const index = labels.findIndex((label) => counts(label, loss) && !isValid(label, classes));
  if (index < 0) return;
  const label = labels[index];
  throw new EmpError(
    'invalid_labels',
    `${nameLabel(index, batch, layout)} has label ${label}: ${advice(label, classes)}`,
  );
}
