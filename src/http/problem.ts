import { z } from 'zod';
import { clip } from '../core/clip.ts';
import { EmpError, type ErrorCode, type InputFinding, type JobInput } from '../core/errors.ts';
import { diskFault } from '../storage/disk-faults.ts';

/** The one table from an error's code to what HTTP says of it. */
export const PROBLEMS: Readonly<Record<ErrorCode, { readonly status: number; readonly title: string }>> = {
  invalid_request: { status: 422, title: 'The request is not valid' },
  malformed_body: { status: 400, title: 'The body cannot be read' },
  malformed_request: { status: 400, title: 'The request cannot be read' },
  malformed_host: { status: 400, title: 'The request does not name one host' },
  empty_scores: { status: 422, title: 'There are no scores' },
  all_zero_scores: { status: 422, title: 'All scores are zero' },
  non_finite_score: { status: 422, title: 'A score is not a finite number' },
  invalid_beta: { status: 422, title: 'beta is not a positive number' },
  unsupported_dtype: { status: 422, title: 'The number format is not supported' },
  malformed_npy: { status: 422, title: 'The .npy file is broken' },
  malformed_npz: { status: 422, title: 'The .npz file is broken' },
  malformed_safetensors: { status: 422, title: 'The safetensors file is broken' },
  malformed_onnx: { status: 422, title: 'The ONNX file is broken' },
  malformed_archive: { status: 422, title: 'The archive is broken' },
  unsupported_model: { status: 422, title: 'The model is of a kind that is not supported' },
  missing_file: { status: 422, title: 'A file that the model refers to is missing' },
  no_prunable_tensors: { status: 422, title: 'No tensor is selected for pruning' },
  scores_mismatch: { status: 422, title: 'The scores do not fit the model' },
  samples_mismatch: { status: 422, title: 'The data does not fit the model' },
  invalid_labels: { status: 422, title: 'The labels cannot be used' },
  non_finite_activation: { status: 422, title: 'The model computes NaN or infinite values' },
  model_run_failed: { status: 422, title: 'The model cannot be run on the data' },
  execution_provider_unavailable: { status: 500, title: 'An execution provider cannot start' },
  unauthorized: { status: 401, title: 'A key or token is needed' },
  forbidden: { status: 403, title: 'The key or token does not allow this' },
  misdirected_request: { status: 421, title: 'The host is not one of this service' },
  cross_site_request: { status: 403, title: 'The request comes from a page of another site' },
  not_found: { status: 404, title: 'Not found' },
  conflict: { status: 409, title: 'The resource is not in a state for this' },
  idempotency_key_reused: { status: 422, title: 'The idempotency key belongs to another request' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  headers_too_large: { status: 431, title: 'The request line and headers are too large' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  unsupported_media_type: { status: 415, title: 'The body is of an unsupported type' },
  not_acceptable: { status: 406, title: 'No acceptable representation' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  method_not_implemented: { status: 501, title: 'The method is not known here' },
  range_not_satisfiable: { status: 416, title: 'The range lies outside the file' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  insufficient_storage: { status: 507, title: 'The disk is full' },
  not_ready: { status: 503, title: 'The service is not ready' },
  rate_limited: { status: 429, title: 'Too many requests' },
  quota_exceeded: { status: 429, title: 'A quota is used up' },
  queue_full: { status: 503, title: 'Too many jobs are waiting' },
  canceled: { status: 409, title: 'The job was canceled' },
  limit_exceeded: { status: 422, title: 'It takes more time or memory than it may' },
  worker_crashed: { status: 500, title: 'The computing process crashed' },
  internal_error: { status: 500, title: 'Internal error' },
};

/** RFC 9457, the shape of every error. */
export const problemSchema = z
  .object({
    type: z.string().describe('URI reference of the kind of problem: `/problems/<code>`.'),
    title: z
      .string()
      .describe('The kind of problem in a few words; the same for every problem of this type.'),
    status: z.int().describe('The HTTP status.'),
    detail: z.string().describe('What went wrong this time, for people.'),
    instance: z.string().describe('The path of the request, or of the job that failed.'),
    code: z.string().describe('Stable, for programs.'),
    errors: z
      .array(
        z.object({
          path: z
            .string()
            .describe(
              'A JSON pointer into the body, `?name` for a query parameter, a header, or the name of a file or tensor.',
            ),
          message: z.string(),
        }),
      )
      .optional()
      .describe('For bad input: every place that was wrong.'),
    request_id: z.string().optional().describe('The `X-Request-Id` under which the server logged it.'),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457 problem details.',
    example: {
      type: '/problems/non_finite_score',
      title: 'A score is not a finite number',
      status: 422,
      detail: 'score 1 is NaN',
      instance: '/v1/thresholds',
      code: 'non_finite_score',
      errors: [{ path: '/scores/1', message: 'must be a finite number, is NaN' }],
    },
  });

export type Problem = z.output<typeof problemSchema>;

/** As long as a place in an error. */
const MAX_INSTANCE = 500;

/** Says in RFC 9457's terms what an error code means. Unknown codes (of a job computed by another version) are internal errors. */
export function createProblem(
  code: string,
  detail: string,
  instance: string,
  findings: readonly InputFinding[] = [],
): Problem {
  const { status, title } = isErrorCode(code) ? PROBLEMS[code] : PROBLEMS.internal_error;
  const errors =
    findings.length > 0 ? { errors: findings.map(({ path, message }) => ({ path, message })) } : {};
  const path = clip(instance, MAX_INSTANCE);
  return { type: `/problems/${code}`, title, status, detail, instance: path, code, ...errors };
}

/** What a JSON body calls a job's inputs; a multipart request calls its parts as the job does. */
const FIELDS: Readonly<Record<JobInput, string>> = {
  model: '/model_id',
  pruned: '/pruned_model_id',
  scores: '/scores_dataset_id',
  calibration: '/calibration_dataset_id',
  selection: '/selection_dataset_id',
  evaluation: '/evaluation_dataset_id',
};

/** Findings about a job's inputs under the names of the fields that name these. */
export function inFields(findings: readonly InputFinding[]): InputFinding[] {
  return findings.map(({ input, path, message }) => ({ path: input ? FIELDS[input] : path, message }));
}

/** An error about a job that came as JSON; other errors as they are. */
export function namingFields(error: unknown): unknown {
  if (!(error instanceof EmpError)) return error;
  return new EmpError(error.code, error.message, inFields(error.findings));
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(PROBLEMS, code);
}

/** Turns whatever was thrown into an `EmpError`; null for what no client caused, whose text must stay in the log. */
export function toEmpError(error: unknown): EmpError | null {
  if (error instanceof EmpError) return error;
  if (!(error instanceof Error)) return null;
  const { statusCode = 500 } = error as Error & { statusCode?: number };
  const fault = diskFault(error);
  if (fault) return fault;
  if (statusCode >= 500) return null;
  // What serves the files of the documentation says it of a path that leaves their folder.
  if (statusCode === 403) return new EmpError('not_found', 'there is nothing at this path');
  const ofStatus = Object.keys(PROBLEMS)
    .filter(isErrorCode)
    .find((one) => PROBLEMS[one].status === statusCode);
  return new EmpError(ofStatus ?? 'malformed_body', error.message);
}

/** One reference token of a JSON pointer (RFC 6901), with its slash. */
export function pointerToken(token: PropertyKey): string {
  return `/${String(token).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
