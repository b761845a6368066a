/** Counts answers by status, and keeps those that a service under load must not give. */
export class Answers {
  readonly wrong: string[] = [];
  readonly #counts = new Map<string, number>();

  /** Notes an answer; `what` names the load that asked. */
  note(what: string, { status, headers }: Pick<Response, 'status' | 'headers'>): void {
    this.#count(what, String(status));
    const isHonest = status === 507 || (status === 503 && headers.has('retry-after'));
    if (status >= 500 && !isHonest) this.wrong.push(`${what}: ${status}`);
  }

  /** Notes that there was no answer. */
  noteFailure(what: string, error: unknown): void {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    this.#count(what, 'none');
    this.wrong.push(`${what}: no answer: ${cause instanceof Error ? cause.message : cause}`);
  }

  /** `status x times` by load. */
  describe(): string {
    return [...this.#counts].map(([key, count]) => `${key} x ${count}`).join(', ');
  }

  #count(what: string, status: string): void {
    const key = `${what} ${status}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }
}
