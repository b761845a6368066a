/** A queue that cannot be had, for a reason that the operator can mend: the message is all there is to say. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
}
