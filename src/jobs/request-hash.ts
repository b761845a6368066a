import { createHash } from 'node:crypto';
import { EmpError } from '../core/errors.ts';
import type { JobRequest } from './job.ts';

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The same for equal requests, in whatever order their keys come. */
export function requestHash(request: unknown): string {
  return sha256(
    JSON.stringify(request, (_key, part: unknown) =>
      part !== null && typeof part === 'object' && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ),
  );
}

/** Of what a client asked for. A version may choose another lane for it, and a retry has another id. */
export function hashOfAsked({ lane: _, request_id: __, ...asked }: JobRequest): string {
  return requestHash(asked);
}

/** What a client is told that sends another request under a key. */
export function keyReused(jobId: string): EmpError {
  return new EmpError(
    'idempotency_key_reused',
    `this Idempotency-Key was used for job ${jobId}, whose request differs: use a new key for a new request`,
  );
}
