import type { OnnxNode, OnnxValue } from './onnx-model.ts';

/** Which value another one is, before nodes that give their first input on; found once for each, however many ask for it. */
export class Origins {
  readonly #isPassing: (node: OnnxNode) => boolean;
  readonly #known = new Map<OnnxValue, OnnxValue | null>();

  constructor(isPassing: (node: OnnxNode) => boolean) {
    this.#isPassing = isPassing;
  }

  /** Null where the first such node has no input, or goes round in a circle. */
  of(value: OnnxValue): OnnxValue | null {
    const way: OnnxValue[] = [];
    let at: OnnxValue | null = value;
    while (at !== null && !this.#known.has(at)) {
      way.push(at);
      this.#known.set(at, null);
      if (at.producer === null || !this.#isPassing(at.producer)) {
        this.#known.set(at, at);
        break;
      }
      at = at.producer.inputs[0] ?? null;
    }
    const origin = at && (this.#known.get(at) ?? null);
    for (const passed of way) this.#known.set(passed, origin);
    return origin;
  }
}
