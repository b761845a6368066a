import { join } from 'node:path';
import type { Upload } from '../storage/store.ts';
import type { FileRule } from './received-files.ts';

export const SUFFIX = '.npy';
/** Folders of their own, since an input may be called `labels`. */
export const INPUTS = 'inputs';
export const CONSTANTS = 'constants';
export const LABELS = 'labels';

/** What a request calls them. */
export interface SampleParts {
  readonly inputs: string;
  readonly constants: string;
  readonly labels: string;
}

/** Where the `.npy` files of the parts are to be received. */
export function sampleFiles(upload: Upload, parts: SampleParts): Record<string, FileRule> {
  return {
    [parts.inputs]: { directory: join(upload.files, INPUTS), numbered: true },
    [parts.constants]: { directory: join(upload.files, CONSTANTS), numbered: true },
    [parts.labels]: { directory: join(upload.files, LABELS), numbered: true },
  };
}
