interface Sizes {
  readonly n: number;
  readonly c: number;
  readonly l: number;
  readonly m: number;
  readonly k: number;
  readonly groups: number;
}

/** A convolution without padding, one step at a time: `x [n, c, l]`, `w [m, c / groups, k]`, giving `[n, m, l - k + 1]`. */
export function convolve(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  { n, c, l, m, k, groups }: Sizes,
): number[] {
  const [inGroup, outGroup, length] = [c / groups, m / groups, l - k + 1];
  const y = Array<number>(n * m * length).fill(0);
  for (let at = 0; at < y.length; at++) {
    const [sample, unit, start] = [Math.floor(at / (m * length)), Math.floor(at / length) % m, at % length];
    for (let i = 0; i < inGroup * k; i++) {
      const [channel, step] = [Math.floor(i / k), i % k];
      const from = Math.floor(unit / outGroup) * inGroup + channel;
      y[at] += x[(sample * c + from) * l + start + step] * w[unit * inGroup * k + i];
    }
  }
  return y;
}

/** Its opposite: `w [c, m / groups, k]`, giving `[n, m, l + k - 1]`. */
export function spread(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  { n, c, l, m, k, groups }: Sizes,
): number[] {
  const [inGroup, outGroup, length] = [c / groups, m / groups, l + k - 1];
  const y = Array<number>(n * m * length).fill(0);
  for (let at = 0; at < x.length; at++) {
    const [sample, channel, start] = [Math.floor(at / (c * l)), Math.floor(at / l) % c, at % l];
    for (let i = 0; i < outGroup * k; i++) {
      const unit = Math.floor(channel / inGroup) * outGroup + Math.floor(i / k);
      y[(sample * m + unit) * length + start + (i % k)] += x[at] * w[channel * outGroup * k + i];
    }
  }
  return y;
}
