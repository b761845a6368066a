/** `ln(n!)` for every n up to one, exact to a few units in the last place. */
export class LogFactorials {
  readonly #values: Float64Array;

  constructor(n: number) {
    this.#values = new Float64Array(n + 1);
    let [sum, lost] = [0, 0];
    for (let i = 2; i <= n; i++) {
      // Kahan's compensation: a plain sum of a million logarithms would be off by 1e-9.
      const term = Math.log(i) - lost;
      const next = sum + term;
      lost = next - sum - term;
      sum = next;
      this.#values[i] = sum;
    }
  }

  of(n: number): number {
    return this.#values[n];
  }
}

/** `P(Bin(n, p) <= k)`, p in (0, 1). */
export function binomialAtMost(k: number, n: number, p: number, factorials = new LogFactorials(n)): number {
  const [ln, ln1] = [Math.log(p), Math.log1p(-p)];
  let sum = 0;
  for (let i = 0; i <= Math.min(k, n); i++) {
    const ways = factorials.of(n) - factorials.of(i) - factorials.of(n - i);
    sum += Math.exp(ways + i * ln + (n - i) * ln1);
  }
  return Math.min(1, sum);
}

/** With which guesses may do as well as a model that is not one. */
const CHANCE = 0.05;

/** Whether guesses of the most frequent label, of which so large a share has it, do as well as `accuracy` on `n` labels by chance. */
export function mayBeGuessed(accuracy: number, guessed: number, n: number): boolean {
  const misses = Math.round(n * (1 - accuracy));
  return guessed >= 1 || binomialAtMost(misses, n, 1 - guessed) > CHANCE;
}

/** Clopper and Pearson's interval for a probability of which `k` of `n` were seen: each end is missed with `tail` at most. */
export function clopperPearson(
  k: number,
  n: number,
  tail: number,
  factorials = new LogFactorials(n),
): readonly [low: number, high: number] {
  const low = k === 0 ? 0 : crossing((p) => 1 - binomialAtMost(k - 1, n, p, factorials) >= tail);
  const high = k === n ? 1 : crossing((p) => binomialAtMost(k, n, p, factorials) <= tail);
  return [low, high];
}

/** Where in (0, 1) what is false of small numbers becomes true. */
function crossing(isPast: (p: number) => boolean): number {
  let [low, high] = [0, 1];
  for (;;) {
    const middle = low + (high - low) / 2;
    if (middle === low || middle === high) return high;
    if (isPast(middle)) high = middle;
    else low = middle;
  }
}
