import { refuseBatch } from './choose-speed.ts';
import { doubtInputs, doubtLabels, doubtModel, type ToldDoubt } from './doubts.ts';
import { Judges } from './judges.ts';
import type { PruneJob } from './prune-job.ts';

/** What a job knows of its data before anything is chosen by them. */
interface SeenData {
  /** The dense model on them; null without evaluation data. To be disposed of. */
  readonly judges: Judges | null;
  /** What is doubtful about them, and about the model. */
  readonly doubts: readonly string[];
  /** Whether figures of such data, or of such a model, mean nothing. */
  readonly isDoubtful: boolean;
  /** A text that is the same for the same evaluation samples. */
  readonly samples: string;
}

/** Measures the dense model, and doubts what does not look like its data. @throws EmpError as `Judges.open`, `refuseBatch` and the doubts of a job with a target */
export async function lookAtData(job: PruneJob): Promise<SeenData> {
  await using opened = new AsyncDisposableStack();
  const ofModel = await doubtModel(job);
  const { told, ranges, samples } = await doubtInputs(job);
  const judges = opened.use(await Judges.open(job));
  if (judges) await refuseBatch(job, judges.reporting.samples);
  const ofLabels: ToldDoubt[] = [];
  for (const { data, evaluator } of judges?.sets ?? [])
    ofLabels.push(...(await doubtLabels(job, data, evaluator, ranges[data])));
  opened.move(); // who asked disposes of the judges
  const ofData = [...told, ...ofLabels];
  return {
    judges,
    doubts: [...ofModel, ...ofData.map(({ text }) => text)],
    isDoubtful: ofModel.length > 0 || ofData.some(({ isGrave }) => isGrave),
    samples,
  };
}
