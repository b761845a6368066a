import type { SampleSet } from '../formats/sample-set.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { Evaluator } from '../runtime/evaluation.ts';
import { namingData } from './data-errors.ts';
import type { Judges } from './judges.ts';
import type { PruneJob } from './prune-job.ts';

/** How far a model's outputs are from the dense one's; null where they are not finite. */
export interface Distance {
  readonly kl: number | null;
  readonly relative_l2: number | null;
}

/** The dense model on the calibration samples, whose labels take no part, for choices between models. */
export class CalibrationJudge implements AsyncDisposable {
  readonly #evaluator: Evaluator;
  readonly #isOfClasses: boolean;

  private constructor(evaluator: Evaluator, isOfClasses: boolean) {
    this.#evaluator = evaluator;
    this.#isOfClasses = isOfClasses;
  }

  /** Opens the dense model. @throws EmpError as `Evaluator.open` */
  static async open(job: PruneJob, judges: Judges | null): Promise<CalibrationJudge> {
    const { model, calibration, runtime } = job.input;
    if (calibration === null) throw new TypeError('a choice by calibration data, without any');
    const { scratchDirectory, signal, onCalibration: onSamples } = job;
    const samples: SampleSet = { ...calibration, labels: null };
    const context = { model, samples, scratchDirectory, runtime, signal, onSamples, wantsDivergence: true };
    const evaluator = await namingData('calibration', () => Evaluator.open(context));
    // Of numbers that are no classes, as boxes or embeddings, the divergence would see the largest alone.
    const isSoftmax = evaluator.compared.some(({ output }) => output.classesAs === 'probabilities');
    const isOfClasses = isSoftmax || judges?.reporting.lossKind === 'cross_entropy';
    return new CalibrationJudge(evaluator, isOfClasses);
  }

  /** @throws EmpError as `Evaluator.measure` */
  async measure(model: StoredModel): Promise<Distance> {
    const { kl, relative_l2 } = await namingData('calibration', () => this.#evaluator.measure(model));
    return { kl, relative_l2 };
  }

  /** By what some models are to be told apart. */
  metricFor(distances: readonly Distance[]): keyof Distance {
    return this.#isOfClasses && distances.some(({ kl }) => kl !== null) ? 'kl' : 'relative_l2';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#evaluator[Symbol.asyncDispose]();
  }
}
