interface SizeTargetRow {
  readonly meaning: string;
  /** What texts say behind a number, or behind a size in bytes. */
  readonly unit: string;
  readonly isOfBytes: boolean;
  /** Why zeros in place do not bring a model below it, and what does; null where they do. */
  readonly zerosStay: string | null;
}

/** The largest beta whose model is no larger is searched. */
export const SIZE_TARGETS = {
  max_parameters: {
    meaning:
      'Parameters of the pruned model, floats and quantized weights; of single weights without those that the job sets to zero.',
    unit: 'parameters',
    isOfBytes: false,
    zerosStay: null,
  },
  max_bytes: {
    meaning: "Bytes of the model's files. Structures only: zeros in place keep their bytes.",
    unit: '',
    isOfBytes: true,
    zerosStay:
      'bounds the files, and zeros in place keep their bytes: use max_compressed_bytes or granularity channel',
  },
  max_compressed_bytes: {
    meaning:
      "Bytes of the model's files compressed by zstd, as `pruned_zstd_bytes` of the report has them: estimated of files above 64 MB.",
    unit: 'compressed by zstd',
    isOfBytes: true,
    zerosStay: null,
  },
  max_macs: {
    meaning:
      'Multiply-accumulates for one sample, as `macs` of the report has them. Structures only: zeros in place are multiplied all the same. ONNX only.',
    unit: 'multiply-accumulates',
    isOfBytes: false,
    zerosStay:
      'bounds what is multiplied, and zeros in place are multiplied too: use max_parameters or granularity channel',
  },
} as const satisfies Readonly<Record<string, SizeTargetRow>>;
export type SizeTargetName = keyof typeof SIZE_TARGETS;
export const SIZE_TARGET_NAMES = Object.keys(SIZE_TARGETS) as [SizeTargetName, ...SizeTargetName[]];
