import type { ErrorCode, InputFinding } from '../core/errors.ts';

/** From a parent to its child: work to do, or that the work is to end, and why. */
export type ToChild<Request> =
  | { readonly kind: 'run'; readonly request: Request }
  | { readonly kind: 'stop'; readonly reason: unknown };

/** From a child to its parent: news of the work, then how it ended and by how much the child has grown since its start. */
export type FromChild<Answer, News> =
  | { readonly kind: 'news'; readonly news: News }
  | { readonly kind: 'done'; readonly answer: Answer; readonly grownBytes: number }
  | ({ readonly kind: 'failed'; readonly grownBytes: number } & ToldError);

/** An error in a form that can be sent. */
export interface ToldError {
  /** Of an `EmpError`, else null. */
  readonly code: ErrorCode | null;
  readonly text: string;
  readonly findings: readonly InputFinding[];
  readonly stack: string | undefined;
}
