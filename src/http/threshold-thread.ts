import { move, transferableSymbol, valueSymbol } from 'piscina';
import { EmpError, type ErrorCode, type InputFinding } from '../core/errors.ts';
import { answerThreshold, type ThresholdTask } from './threshold-task.ts';

/** What a thread says of one task. An `EmpError` would lose its code on the way. */
export type ThreadReply =
  | { readonly body: Uint8Array<ArrayBuffer>; readonly summary: string | null }
  | { readonly error: { code: ErrorCode; message: string; findings: readonly InputFinding[] } };

/** The worker thread's side of `ThresholdThreads`; the answer's bytes are given away. */
export default async function run(task: ThresholdTask): Promise<unknown> {
  try {
    const { body: given, summary } = await answerThreshold(task);
    const body = typeof given === 'string' ? new TextEncoder().encode(given) : given;
    const reply = { body, summary } satisfies ThreadReply;
    return move({ [transferableSymbol]: [body.buffer], [valueSymbol]: reply });
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    const { code, message, findings } = error;
    return { error: { code, message, findings } } satisfies ThreadReply;
  } finally {
    // Half a gigabyte is not to wait until this thread's heap is collected.
    task.body.buffer.transferToFixedLength(0);
  }
}
