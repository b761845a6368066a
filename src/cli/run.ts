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
  readonly labels?: string;
  readonly calibration?: readonly string[];
  readonly calibrationLabels?: string;
  readonly selection?: readonly string[];
  readonly selectionLabels?: string;
}

/** The samples that flags name, by what a request calls them. */
export function samplesOf(
  flags: DataFlags,
): Readonly<Record<'evaluation' | 'calibration' | 'selection', GivenSamples>> {
  const { data = [], calibration = [], selection = [] } = flags;
  return {
    evaluation: { flag: '--data', files: data, labels: flags.labels },
    calibration: { flag: '--calibration', files: calibration, labels: flags.calibrationLabels },
    selection: { flag: '--selection', files: selection, labels: flags.selectionLabels },
  };
}
