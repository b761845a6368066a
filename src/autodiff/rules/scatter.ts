import type { GradientNode } from '../derivative.ts';

/** Zeros in the shape of `like`, to which `updates` are added where `indices` point along an axis. */
export function scatterAdd(
  at: GradientNode,
  like: string,
  indices: string,
  updates: string,
  axis: number,
): string {
  return at.op('ScatterElements', [at.zerosLike(like), indices, updates], { axis, reduction: 'add' });
}

/**
 * The gradient of input 0 of an operator whose output consists of that input's elements, however it picks them: `pick` applies the operator
 * to the elements' positions, so what comes out says where each element of the output came from.
 */
export function scatterBack(at: GradientNode, pick: (positions: string) => string): string {
  const data = at.input(0);
  const count = at.op('Size', [data]);
  const range = at.op('Range', [at.builder.integer(0), count, at.builder.integer(1)]);
  return scatterFlat(at, pick(at.reshape(range, at.shapeValue(data))));
}

/** The same, where `origins` says of each element of the output where in the flat input 0 it came from. */
export function scatterFlat(at: GradientNode, origins: string): string {
  const data = at.input(0);
  const places = at.reshape(origins, [-1]);
  const zeros = at.op('Expand', [at.scalar(0), at.reshape(at.op('Size', [data]), [1])]);
  const gradient = at.reshape(at.gradient(), [-1]);
  const found = at.op('ScatterElements', [zeros, places, gradient], { axis: 0, reduction: 'add' });
  return at.reshapeLike(found, data);
}
