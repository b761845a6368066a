import { clip } from './clip.ts';

/** What a job works on, beside its recipe. */
export type JobInput = 'model' | 'pruned' | 'scores' | SampleInput;
/** Those of them that are samples. */
export type SampleInput = 'calibration' | 'selection' | 'evaluation';

/** One finding about bad input: where it is (a JSON pointer, a tensor's name, a file's name) and what would be right. */
export interface InputFinding {
  readonly path: string;
  readonly message: string;
  /** Set where `path` is the name of one of a job's inputs, for which a client may have another. */
  readonly input?: JobInput;
}

/** A finding about one of a job's inputs as a whole. */
export function ofInput(input: JobInput, message: string): InputFinding {
  return { path: input, message, input };
}

/**
 * Every reason for which input is refused or a job fails deliberately. Clients rely on these names;
 * `http/problem.ts` gives each its HTTP status.
 */
export type ErrorCode =
  | 'invalid_request'
  | 'malformed_request'
  | 'malformed_body'
  | 'malformed_host'
  | 'empty_scores'
  | 'all_zero_scores'
  | 'non_finite_score'
  | 'invalid_beta'
  | 'unsupported_dtype'
  | 'malformed_npy'
  | 'malformed_npz'
  | 'malformed_safetensors'
  | 'malformed_onnx'
  | 'malformed_archive'
  | 'unsupported_model'
  | 'missing_file'
  | 'no_prunable_tensors'
  | 'scores_mismatch'
  | 'samples_mismatch'
  | 'invalid_labels'
  | 'non_finite_activation'
  | 'model_run_failed'
  | 'execution_provider_unavailable'
  | 'unauthorized'
  | 'forbidden'
  | 'misdirected_request'
  | 'cross_site_request'
  | 'not_found'
  | 'conflict'
  | 'idempotency_key_reused'
  | 'payload_too_large'
  | 'headers_too_large'
  | 'request_timeout'
  | 'unsupported_media_type'
  | 'not_acceptable'
  | 'method_not_allowed'
  | 'method_not_implemented'
  | 'range_not_satisfiable'
  | 'expectation_failed'
  | 'insufficient_storage'
  | 'not_ready'
  | 'queue_full'
  | 'quota_exceeded'
  | 'rate_limited'
  | 'canceled'
  | 'worker_crashed'
  | 'limit_exceeded'
  | 'internal_error';

/** Nobody reads more; texts and places may be made of what a client sent, names and lists of any length. */
const MAX_FINDINGS = 100;
const MAX_MESSAGE = 2000;
const MAX_PLACE = 500;

/**
 * An error whose text is meant for the client: a stable code, one sentence, and the exact places that were wrong, the first hundred of them. Long texts lose
 * their middle, so that no error is large, whatever it echoes.
 */
export class EmpError extends Error {
  override readonly name = 'EmpError';
  readonly code: ErrorCode;
  readonly findings: readonly InputFinding[];

  constructor(code: ErrorCode, message: string, findings: readonly InputFinding[] = []) {
    super(clip(message, MAX_MESSAGE));
    this.code = code;
    this.findings = findings.slice(0, MAX_FINDINGS).map((finding) => ({
      ...finding,
      path: clip(finding.path, MAX_PLACE),
      message: clip(finding.message, MAX_MESSAGE),
    }));
  }
}

/** Whether an error's text, or a process's last words, say that memory could not be had: V8, onnxruntime and Node have words of their own. */
export function isOutOfMemory(text: string): boolean {
  return /out of memory|bad[_ ]alloc|failed to allocate memory|allocation failed|cannot allocate memory/i.test(
    text,
  );
}
