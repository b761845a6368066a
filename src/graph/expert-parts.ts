import type { FusedNode, Parts } from './fused-node.ts';
import { tanhGelu } from './fused-parts.ts';

/** Of the operators that experts are written with. */
const SINCE = 13;
/** A weight may have so many parts that are told apart. */
const MAX_EXPERTS = 256;
/** How `swiglu` has gates and values in one layer's units. */
const [INTERLEAVED, APART] = [1, 2];
/** Of the operator that dequantizes a part of a weight: its blocks are of a power of two, and of so many at least. */
const LEAST_BLOCK = 16;
const [UINT8, INT32] = [2, 6];

/** A layer of each expert, by the expert's number. */
interface Layer {
  /** `[units, features]` */
  weight(expert: number): string;
  /** `[units]`; null without one. */
  bias(expert: number): string | null;
}

interface Mixture {
  readonly experts: number;
  /** What `up` gives. */
  readonly units: number;
  readonly up: Layer;
  readonly down: Layer;
  /** What the activation of `up` is multiplied by; null where it is not, or where `up` has both. */
  readonly gated: Layer | null;
}

/**
 * The router's best experts for each token, as numbers in a row, and what each of them counts. Of equal ones the operator takes the last, and TopK the first: it is given
 * them backwards, and before a Softmax makes more of them equal.
 * @param shares what they count where it is not their likelihood
 */
function route(at: FusedNode, size: number, shares: string | null, isNormalized: boolean) {
  const all = Array.from({ length: size }, (_, expert) => expert);
  const backwards = at.op('Gather', [at.input(1), at.vector(all.toReversed())], { axis: -1 });
  const [, places] = at.ops('TopK', [backwards, at.vector([at.integer('k', 1)])], { axis: -1 }, 2);
  const experts = at.op('Sub', [at.whole(size - 1), places]);
  const given = shares ?? at.op('Softmax', [at.input(1)], { axis: -1 });
  const isChosen = at.op('Equal', [at.unsqueezed(experts, [-1]), at.vector(all)]);
  const chosen = at.op('Where', [isChosen, at.unsqueezed(given, [-2]), at.scalar(0)]);
  const counts = at.sum(chosen, -1, false);
  const scaled = isNormalized ? at.op('Div', [counts, at.sum(counts, -1, true)]) : counts;
  const flat = (value: string) => at.op('Reshape', [value, at.vector([-1])]);
  return { experts, choice: flat(experts), factors: flat(scaled) };
}

/** Every expert as layers of its own, on those tokens that the router chose it for. */
function mix(at: FusedNode, routed: ReturnType<typeof route>, mixture: Mixture): string | null {
  const { choice, factors, experts } = routed;
  const { up, down, gated } = mixture;
  const x = at.input(0) ?? '';
  const tokens = at.op('Flatten', [x], { axis: -1 });
  // A token for which an expert counts nothing, or less, is not given to it.
  const counts = at.op('Greater', [factors, at.scalar(0)]);
  const results: string[] = [];
  const places: string[] = [];
  for (let index = 0; index < mixture.experts; index++) {
    const expert = at.whole(index);
    const isOwn = at.op('And', [at.op('Equal', [choice, expert]), counts]);
    const own = at.op('Reshape', [at.op('NonZero', [isOwn]), at.vector([-1])]);
    const input = at.op('Gather', [tokens, at.op('Div', [own, at.whole(at.integer('k', 1))])], { axis: 0 });
    const layer = (value: string, { weight, bias }: Layer) =>
      at.op('Gemm', [value, weight(index), bias(index)], { transB: 1 });
    const hidden = activate(at, layer(input, up), gated && layer(input, gated), mixture.units);
    if (hidden === null) return null;
    const factor = at.unsqueezed(at.op('Gather', [factors, own], { axis: 0 }), [1]);
    results.push(at.times(layer(hidden, down), factor));
    places.push(at.unsqueezed(own, [1]));
  }
  const n = at.op('Shape', [choice]);
  const width = at.op('Gather', [at.op('Shape', [tokens]), at.vector([1])], { axis: 0 });
  const nothing = at.op('Expand', [at.scalar(0), at.joined([n, width])]);
  const each = at.op('ScatterND', [nothing, at.joined(places), at.joined(results)]);
  const byToken = at.op('Reshape', [each, at.joined([at.op('Shape', [experts]), width])]);
  return at.op('Reshape', [at.sum(byToken, 1, false), at.op('Shape', [x])]);
}

const ACTIVATIONS: ReadonlyMap<string, (at: FusedNode, x: string) => string> = new Map([
  ['relu', (at, x) => at.op('Relu', [x])],
  ['gelu', tanhGelu],
  ['silu', (at, x) => at.times(x, at.op('Sigmoid', [x]))],
  ['identity', (_at, x) => x],
]);

/** What goes on to an expert's second layer; null for an activation that is not known. */
function activate(at: FusedNode, up: string, gated: string | null, units: number): string | null {
  const name = at.text('activation_type', 'relu');
  if (name === 'swiglu') {
    const parts = gated === null ? halves(at, up, units) : ([up, gated] as const);
    return parts && swiglu(at, parts[0], parts[1]);
  }
  const active = ACTIVATIONS.get(name)?.(at, up);
  if (active === undefined) return null;
  return gated === null ? active : at.times(active, gated);
}

/** Gates and values of which one layer gives both, `units` in all; null for an order that is not known. */
function halves(at: FusedNode, both: string, units: number): readonly [gate: string, value: string] | null {
  const fusion = at.integer('swiglu_fusion', 0);
  if (fusion !== INTERLEAVED && fusion !== APART) return null;
  const half = (first: number) => {
    const start = fusion === APART ? (first * units) / 2 : first;
    const [end, step] = fusion === APART ? [start + units / 2, 1] : [units, 2];
    return at.op('Slice', [both, ...[start, end, -1, step].map((number) => at.vector([number]))]);
  };
  return [half(0), half(1)];
}

/** g sigmoid(alpha g) (v + beta), both within a limit. */
function swiglu(at: FusedNode, gate: string, value: string): string {
  const limit = at.float('swiglu_limit', Number.POSITIVE_INFINITY);
  const isBound = Number.isFinite(limit);
  const g = isBound ? at.op('Clip', [gate, null, at.scalar(limit)]) : gate;
  const v = isBound ? at.op('Clip', [value, at.scalar(-limit), at.scalar(limit)]) : value;
  const swish = at.times(g, at.op('Sigmoid', [at.times(g, at.float('activation_alpha', 1))]));
  return at.times(swish, at.plus(v, at.float('activation_beta', 0)));
}

const isNormalized = (at: FusedNode) => at.integer('normalize_routing_weights', 0) === 1;

/** What each expert has of a tensor; by one operator, for the gradient of a Gather is as large as the whole tensor. */
function apart(at: FusedNode, tensor: string | null, experts: number): readonly string[] | null {
  if (tensor === null) return null;
  const parts = at.ops('Split', [tensor, at.vector(Array(experts).fill(1))], { axis: 0 }, experts);
  return parts.map((part) => at.op('Squeeze', [part, at.vector([0])]));
}

/** Weights `[experts, units, features]`. */
function floats(at: FusedNode, weight: string, bias: string | null, experts: number): Layer {
  const [weights, biases] = [apart(at, weight, experts), apart(at, bias, experts)];
  return { weight: (expert) => weights?.[expert] ?? weight, bias: (expert) => biases?.[expert] ?? null };
}

const moe: Parts = (at) => {
  const [up, down, gated] = [2, 4, 6].map((input) => at.input(input));
  const sizes = sizesOf(at, up);
  if (!up || !down || sizes === null) return null;
  const { experts } = sizes;
  const y = mix(at, route(at, experts, null, isNormalized(at)), {
    ...sizes,
    up: floats(at, up, at.input(3), experts),
    down: floats(at, down, at.input(5), experts),
    gated: gated === null ? null : floats(at, gated, at.input(7), experts),
  });
  return y === null ? null : [y];
};

/** Null where it is not stored, and for what is not taken apart. */
function sizesOf(at: FusedNode, up: string | null): Pick<Mixture, 'experts' | 'units'> | null {
  const [experts, units] = (up && at.values.shapeOf(up)) || [0, 0];
  const isTold = at.opset >= SINCE && at.integer('use_sparse_mixer', 0) === 0;
  return isTold && experts > 0 && experts <= MAX_EXPERTS ? { experts, units } : null;
}

/** Inputs of `QMoE`: a layer's weights, scales, bias and zero points. */
const QUANTIZED = { up: [2, 3, 4, 11], down: [5, 6, 7, 12], gated: [8, 9, 10, 13] } as const;

const qmoe: Parts = (at) => {
  const [up, down, gated] = [QUANTIZED.up, QUANTIZED.down, QUANTIZED.gated].map((inputs) =>
    packed(at, inputs),
  );
  const sizes = sizesOf(at, at.input(QUANTIZED.up[0]));
  const isPlain = at.text('quant_type', 'int') === 'int' && at.integer('weights_prepacked', 0) <= 0;
  if (!up || !down || sizes === null || !isPlain || (at.input(QUANTIZED.gated[0]) && !gated)) return null;
  const shares = at.input(14);
  const routed = route(at, sizes.experts, shares, shares === null || isNormalized(at));
  const y = mix(at, routed, { ...sizes, up, down, gated });
  return y === null ? null : [y];
};

/** Weights `[experts, units, bytes]`; null for those that the operator which dequantizes one expert's does not take. */
function packed(at: FusedNode, [weight, scale, bias, zeroPoint]: readonly number[]): Layer | null {
  const [numbers, scales, zeros] = [weight, scale, zeroPoint].map((input) => at.input(input));
  const [experts = 0, units, bytes] = (numbers && at.values.shapeOf(numbers)) || [];
  const bits = at.integer('expert_weight_bits', 4);
  if (!numbers || !scales || units === undefined || bytes === undefined || ![4, 8].includes(bits))
    return null;
  const isByBlock = at.values.rankOf(scales) === 3;
  const whole = 2 ** Math.ceil(Math.log2((bytes * 8) / bits));
  const size = isByBlock ? at.integer('block_size', 0) : Math.max(LEAST_BLOCK, whole);
  const byBlock = isByBlock ? scales : at.unsqueezed(scales, [2]);
  const shifts = zeros && (at.values.rankOf(zeros) === 3 ? zeros : byRow(at, zeros, bits, units));
  const biases = apart(at, at.input(bias), experts);
  const [type, scaleType] = [at.input(0), scales].map((value) => value && at.values.typeOf(value));
  const isCast = type !== null && scaleType !== null && type !== scaleType;
  return {
    weight: (expert) => {
      const given = at.microsoft('GatherBlockQuantized', [numbers, at.whole(expert), byBlock, shifts], {
        ...{ bits, block_size: size, gather_axis: 0, quantize_axis: 2 },
      });
      return isCast ? at.op('Cast', [given], { to: Number(type) }) : given;
    },
    bias: (expert) => biases?.[expert] ?? null,
  };
}

/** Zero points of units, of which bytes hold several, in a byte each. */
function byRow(at: FusedNode, packedZeros: string, bits: number, units: number): string {
  if (bits === 8) return at.unsqueezed(packedZeros, [2]);
  const bytes = at.op('Cast', [packedZeros], { to: INT32 });
  const sixteen = at.op('Cast', [at.whole(16)], { to: INT32 });
  const pair = [at.op('Mod', [bytes, sixteen]), at.op('Div', [bytes, sixteen])];
  const apart = at.op(
    'Concat',
    pair.map((each) => at.unsqueezed(each, [2])),
    { axis: 2 },
  );
  return at.op('Cast', [at.op('Reshape', [apart, at.vector([-1, units, 1])])], { to: UINT8 });
}

/** By operator and domain: a layer for each expert. */
export const EXPERT_PARTS: ReadonlyMap<string, Parts> = new Map([
  ['com.microsoft.MoE', moe],
  ['com.microsoft.QMoE', qmoe],
]);
