import type { StoredRecord } from './store.ts';

export interface StoredFile {
  readonly name: string;
  readonly size_bytes: number;
  readonly sha256: string;
}

/** An uploaded model. Its files lie under `files/`, its inventory in `inventory.json`. */
export interface ModelRecord extends StoredRecord {
  readonly format: 'onnx' | 'safetensors';
  /** The file a client names: the one the pruned model gets as its artifact's name. */
  readonly name: string;
  /** Of the one file; of several, of the lines `<sha256>  <name>` in name order, as sha256sum prints them. */
  readonly sha256: string;
  readonly size_bytes: number;
  readonly n_parameters: number;
  readonly files: readonly StoredFile[];
}

/** Uploaded arrays, one score array per tensor. Files under `files/`, arrays in `arrays.json`. */
export interface DatasetRecord extends StoredRecord {
  readonly kind: 'scores';
  readonly sha256: string;
  readonly size_bytes: number;
  readonly arrays: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: string;
  }[];
}
