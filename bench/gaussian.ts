/**
 * Standard normal numbers, the same for the same seed: 32-bit xorshift and Box-Muller. Fast enough for 1e8 of them; of statistical
 * quality enough for timings.
 */
export function createGaussian(seed: number): (target: Float32Array) => void {
  let state = seed | 1;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
  return (target) => {
    for (let i = 0; i < target.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(uniform()));
      const angle = 2 * Math.PI * uniform();
      target[i] = radius * Math.cos(angle);
      if (i + 1 < target.length) target[i + 1] = radius * Math.sin(angle);
    }
  };
}
