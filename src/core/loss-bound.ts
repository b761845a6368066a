/**
 * The factor in front of the trace of the loss's Hessian in the second-order estimate of what pruning by magnitude changes the loss by
 * (after Lemma 3.1 of Zhang et al., arXiv 2306.05857): `(1 - rho) / (2 N rho) * ||theta - theta'||_2^2`, with `rho = nKeep / n`.
 * @param squaredDistance sum of the squares of the weights that go
 */
export function lossChangePerTrace(n: number, nKeep: number, squaredDistance: number): number {
  const density = nKeep / n;
  return ((1 - density) / (2 * n * density)) * squaredDistance;
}

/**
 * Equation 5 of the paper, the same for many weights: `||theta||_1^2 * Tr(H) * (1 - rho)^4 / (2 rho) * (1 - sqrt((1 - rho) / (N rho)))^2`.
 * @param l1Norm of all weights before pruning
 * @param trace of the Hessian of the loss at these
 */
export function asymptoticLossChange(n: number, nKeep: number, l1Norm: number, trace: number): number {
  const density = nKeep / n;
  const dropped = 1 - density;
  return (
    ((l1Norm ** 2 * trace * dropped ** 4) / (2 * density)) * (1 - Math.sqrt(dropped / (n * density))) ** 2
  );
}
