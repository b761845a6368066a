import type { ApiClient } from './api-client.ts';
import type { GivenSamples } from './given-data.ts';

/** Where a verb says something. */
export interface Terminal {
  readonly stdout: Pick<NodeJS.WriteStream, 'write' | 'isTTY'>;
  readonly stderr: Pick<NodeJS.WriteStream, 'write' | 'isTTY'>;
}

/** What a verb works with. */
export interface Run {
  readonly client: ApiClient;
  readonly terminal: Terminal;
  /** What is undone at the end, whatever that is. */
  readonly resources: AsyncDisposableStack;
  /** What this program is called by, as a shell reads it: `emp`, or what stands for it in a checkout. */
  readonly program: string;
}

/** Flags of all verbs that compute. */
export interface CommonFlags {
  readonly output?: string;
  readonly json?: boolean;
  readonly summary?: string;
}

/** Flags of data. */
export interface DataFlags {
  readonly data?: readonly string[];
  /** The same as `data`. */
  readonly inputs?: readonly string[];
  readonly labels?: string;
  readonly calibration?: readonly string[];
  readonly calibrationLabels?: string;
  readonly selection?: readonly string[];
  readonly selectionLabels?: string;
}

/** Flags of data, as they are written. */
export const DATA_FLAGS = [
  ['data', '--data'],
  ['inputs', '--inputs'],
  ['labels', '--labels'],
  ['calibration', '--calibration'],
  ['calibrationLabels', '--calibration-labels'],
  ['selection', '--selection'],
  ['selectionLabels', '--selection-labels'],
] as const satisfies readonly (readonly [keyof DataFlags, string])[];

/** The samples that flags name, by what a request calls them. */
export function samplesOf(
  flags: DataFlags,
): Readonly<Record<'evaluation' | 'calibration' | 'selection', GivenSamples>> {
  const { data = [], inputs = [], calibration = [], selection = [] } = flags;
  return {
    evaluation: { flag: '--data', files: [...data, ...inputs], labels: flags.labels },
    calibration: { flag: '--calibration', files: calibration, labels: flags.calibrationLabels },
    selection: { flag: '--selection', files: selection, labels: flags.selectionLabels },
  };
}
