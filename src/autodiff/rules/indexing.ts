import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';
import { scatterAdd, scatterBack } from './scatter.ts';

const gather: GradientRule = (at) => {
  const axis = at.axis('axis', 0, at.input(0));
  return [gatherOne(at, axis) ?? gatherMany(at, axis)];
};

/** One known index: zeros before and after. */
function gatherOne(at: GradientNode, axis: number): string | null {
  const [data, indices] = [at.input(0), at.input(1)];
  const [index, ...others] = at.constant(indices) ?? [];
  const size = at.shape(data)?.[axis];
  const rank = at.shape(indices)?.length;
  if (index === undefined || others.length > 0 || typeof size !== 'number' || (rank !== 0 && rank !== 1)) {
    return null;
  }
  const before = index < 0 ? index + size : index;
  const zeros = Array.from({ length: at.rank(data) }, () => 0);
  const pads = [...zeros.with(axis, before), ...zeros.with(axis, size - 1 - before)];
  const gradient = rank === 0 ? at.unsqueeze(at.gradient(), [axis]) : at.gradient();
  return at.op('Pad', [gradient, at.integerVector(pads)]);
}

/** The indices' axes become one, along which the gradient is added up. */
function gatherMany(at: GradientNode, axis: number): string {
  const data = at.input(0);
  const shape = [
    at.op('Shape', [data], { start: 0, end: axis }),
    at.integerVector([-1]),
    at.op('Shape', [data], { start: axis + 1 }),
  ];
  const updates = at.reshape(at.gradient(), at.op('Concat', shape, { axis: 0 }));
  const along = Array.from({ length: at.rank(data) }, (_, other) => (other === axis ? -1 : 1));
  const indices = at.expandLike(at.reshape(at.input(1), along), updates);
  return scatterAdd(at, data, indices, updates, axis);
}

const gatherElements: GradientRule = (at) => [
  scatterAdd(at, at.input(0), at.input(1), at.gradient(), at.integer('axis', 0)),
];

const gatherNd: GradientRule = (at) => [
  scatterBack(at, (positions) =>
    at.op('GatherND', [positions, at.input(1)], { batch_dims: at.integer('batch_dims', 0) }),
  ),
];

/** What the updates replace gets nothing; what they are added to gets all. */
function scattered(
  scatter: 'ScatterElements' | 'ScatterND',
  collect: 'GatherElements' | 'GatherND',
): GradientRule {
  return (at) => {
    const reduction = at.text('reduction', 'none');
    if (reduction !== 'none' && reduction !== 'add') {
      throw new Undifferentiable(`reduction "${reduction}" has no gradient rule, "none" and "add" have`);
    }
    const attributes = at.has('axis') ? { axis: at.integer('axis', 0) } : {};
    const [indices, updates] = [at.input(1), at.input(2)];
    const kept = () => at.op(scatter, [at.gradient(), indices, at.zerosLike(updates)], attributes);
    return [
      at.needs(0) ? (reduction === 'add' ? at.gradient() : kept()) : null,
      null,
      at.needs(2) ? at.op(collect, [at.gradient(), indices], attributes) : null,
    ];
  };
}

/** y = on where the indices point, else off; `values` is [off, on]. */
const oneHot: GradientRule = (at) => {
  const gradient = at.gradient();
  const axes = Array.from({ length: at.rank(at.output()) }, (_, axis) => axis);
  const total = (a: string) => at.reshape(at.sum(a, axes), [1]);
  const isOn = at.op('OneHot', [at.input(0), at.input(1), at.builder.floats([0, 1], [2])], {
    axis: at.integer('axis', -1),
  });
  const on = total(at.mul(gradient, isOn));
  return [null, null, at.op('Concat', [at.sub(total(gradient), on), on], { axis: 0 })];
};

const topK: GradientRule = (at) => [
  scatterAdd(at, at.input(0), at.output(1), at.gradient(), at.integer('axis', -1)),
];

/** Operators that read or write elements by index. */
export const INDEXING_RULES: GradientRules = new Map([
  ['Gather', gather],
  ['GatherElements', gatherElements],
  ['GatherND', gatherNd],
  ['ScatterElements', scattered('ScatterElements', 'GatherElements')],
  ['ScatterND', scattered('ScatterND', 'GatherND')],
  ['OneHot', oneHot],
  ['TopK', topK],
]);
