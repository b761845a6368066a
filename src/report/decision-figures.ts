import type { TargetName } from '../recipe/terms.ts';
import { costsOf, isLabeled } from './cost.ts';
import type { DecisionFigure } from './decision-schema.ts';
import {
  accuracyFigure,
  agreementFigure,
  countFigure,
  driftFigure,
  lossFigure,
  SIZE_NOISE,
  sizeFigure,
  speedFigure,
  unknownFigure,
} from './figure-parts.ts';
import { metricOf } from './metric-figures.ts';
import type { Evaluation, Undecided } from './report.ts';
import { nounsOf } from './reported-recipe.ts';
import { describeInterval, differsInSpeed, speedsOf } from './speed.ts';
import { capitalized, percent } from './wording.ts';

const NO_DATA = 'no evaluation data';

/** What is gained, what is lost, and how sure that is, in five figures. */
export function figuresOf(report: Undecided): DecisionFigure[] {
  const { sizes } = report;
  const how = sizes.zstd_estimated ? 'estimated from a sample' : 'compressed';
  const download = sizeFigure('download', 'Download', sizes.pruned_zstd_bytes, sizes.dense_zstd_bytes, how);
  return [download, left(report), ...quality(report), speed(report)];
}

/** Whether the compressed model is smaller; null of a dry run. */
export function isDownloadSmaller({
  dense_zstd_bytes,
  pruned_zstd_bytes,
}: Undecided['sizes']): boolean | null {
  return pruned_zstd_bytes === null ? null : pruned_zstd_bytes < dense_zstd_bytes * (1 - SIZE_NOISE);
}

/** Zeros are no fewer parameters: they are counted as the weights that are left. */
function left(report: Undecided): DecisionFigure {
  const { structures, total } = report;
  if (structures === null) {
    const title = `${capitalized(nounsOf(report).unit.many)} left`;
    return countFigure('weights', title, total.n_keep, total.n, `${percent(total.sparsity)} are zero`);
  }
  const { pruned, dense } = structures.parameters;
  const gone = `${percent(Math.max(0, 1 - (pruned ?? 0) / dense))} gone`;
  return countFigure('parameters', 'Parameters', pruned, dense, gone);
}

function quality({ evaluation, sizes }: Undecided): [DecisionFigure, DecisionFigure] {
  if (evaluation === null)
    return [unknownFigure('loss', 'Loss', NO_DATA), unknownFigure('accuracy', 'Accuracy', NO_DATA)];
  const disk = sizeFigure('disk', 'On disk', sizes.pruned_bytes, sizes.dense_bytes, 'as it is');
  const { dense, pruned, n_samples: nSamples } = evaluation;
  if (isLabeled(evaluation)) {
    const accuracy =
      dense.accuracy === null || pruned.accuracy === null
        ? disk
        : accuracyFigure({
            ...{ value: pruned.accuracy, was: dense.accuracy },
            ...{ error: pruned.accuracy_drop_standard_error, nSamples },
            isPromised: isPromised('max_accuracy_drop', evaluation),
          });
    return [loss(evaluation), accuracy];
  }
  const agreement =
    pruned.top1_agreement === null
      ? disk
      : agreementFigure({
          value: pruned.top1_agreement,
          error: pruned.disagreement_standard_error,
          nSamples,
        });
  return [driftFigure(pruned.relative_l2, pruned.relative_l2_standard_error), agreement];
}

const isPromised = (name: TargetName, { search }: Evaluation): boolean => search?.target[name] !== undefined;

function loss(evaluation: Evaluation): DecisionFigure {
  const { dense, pruned } = evaluation;
  const [{ show }] = costsOf(evaluation);
  const measured = {
    ...{ value: pruned.loss, was: dense.loss ?? 0 },
    error: pruned.loss_increase_standard_error,
    isPromised: isPromised('max_loss_increase', evaluation),
  };
  return lossFigure(metricOf('loss', evaluation).title, measured, show);
}

function speed({ evaluation, structures }: Undecided): DecisionFigure {
  const [measured] = speedsOf(evaluation);
  if (measured === undefined)
    return unknownFigure('speed', 'Speed', structures === null ? 'zeros in place bring none' : 'not timed');
  const isDifference = differsInSpeed(measured);
  const interval = isDifference ? describeInterval(measured) : `± ${percent(measured.noise)} noise`;
  const before = `${milliseconds(measured.pruned)}, was ${milliseconds(measured.dense)}`;
  return speedFigure(measured, isDifference, interval, before);
}

const milliseconds = (value: number): string => `${Number(value.toPrecision(3))} ms`;
