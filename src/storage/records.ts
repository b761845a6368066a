import type { StoredRecord } from './store.ts';

export interface StoredFile {
  readonly name: string;
  readonly size_bytes: number;
  readonly sha256: string;
}

/** An uploaded model. Its files lie under `files/`, its inventory in `inventory.json`, and what of it is told in `tensors.json`. */
export interface ModelRecord extends StoredRecord {
  readonly format: 'onnx' | 'safetensors';
  /** The file a client names: the one the pruned model gets as its artifact's name. */
  readonly name: string;
  /** Of the one file; of several, of the lines `<sha256>  <name>` in name order, as sha256sum prints them. */
  readonly sha256: string;
  readonly size_bytes: number;
  readonly n_parameters: number;
  /** For one sample; null where the declared shapes do not tell. Absent of models of earlier versions. */
  readonly n_macs?: number | null;
  readonly files: readonly StoredFile[];
}

/** What an array is, without its numbers. */
export interface ArrayRecord {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** Uploaded arrays. Files under `files/`; what each array is in `shapes.json`, which records of earlier versions held as `arrays` or `inputs`. */
export type DatasetRecord = ScoresRecord | SamplesRecord;

/** One score array per tensor; where they lie is in `arrays.json`. */
export interface ScoresRecord extends StoredRecord {
  readonly kind: 'scores';
  readonly sha256: string;
  readonly size_bytes: number;
}

/** Data to run a model on; where it lies is in `samples.json`. */
export interface SamplesRecord extends StoredRecord {
  readonly kind: 'samples';
  /** Of the lines `<sha256>  inputs/<name>`, `<sha256>  constants/<name>` and `<sha256>  labels`, in name order. */
  readonly sha256: string;
  readonly size_bytes: number;
  /** Null where only a model tells which axes count the samples. */
  readonly n_samples: number | null;
  readonly labels: Omit<ArrayRecord, 'name'> | null;
}

/** The order of files in what a hash or an id is made of. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
