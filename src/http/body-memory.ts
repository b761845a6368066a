import { EmpError } from '../core/errors.ts';

/** The memory that one request takes: its body, what reading it takes, its answer. */
export interface Hold {
  /** @throws EmpError `not_ready` where all requests together would take more than the memory set aside for them */
  grow(bytes: number): void;
  /** Once the body is used up: what is still held, which is its answer. Never refused. */
  shrink(bytes: number): void;
  /** To be called when the request is over; again to no effect. */
  release(): void;
}

/** Memory set aside for bodies held whole: many large requests at once are told to come again, instead of ending the process. */
export class BodyMemory {
  readonly #limit: number;
  #held = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  hold(): Hold {
    let held = 0;
    let released = false;
    return {
      grow: (bytes) => {
        if (released) return;
        if (this.#held + bytes > this.#limit)
          throw new EmpError(
            'not_ready',
            'other large requests take all the memory set aside for them; try again',
          );
        held += bytes;
        this.#held += bytes;
      },
      shrink: (bytes) => {
        if (released) return;
        this.#held += bytes - held;
        held = bytes;
      },
      release: () => {
        released = true;
        this.#held -= held;
        held = 0;
      },
    };
  }
}
