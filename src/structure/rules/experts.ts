import { mergeAxes, splitAxis } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { spreadBlocks } from './quantized.ts';

/** Where an operator has the parts of one layer of all experts; -1 where it never has one. */
interface LayerInputs {
  readonly weight: number;
  readonly scale: number;
  readonly bias: number;
  readonly zeroPoint: number;
}

/** Inputs of an operator: what goes into experts (of gated ones in two layers), and what comes out. */
interface ExpertInputs {
  readonly up: LayerInputs;
  readonly down: LayerInputs;
  readonly gated: LayerInputs;
  /** Numbers for every token and expert, and scales for every expert. */
  readonly ofExperts: readonly number[];
}

const FLOATS: ExpertInputs = {
  up: { weight: 2, bias: 3, scale: -1, zeroPoint: -1 },
  down: { weight: 4, bias: 5, scale: -1, zeroPoint: -1 },
  gated: { weight: 6, bias: 7, scale: -1, zeroPoint: -1 },
  ofExperts: [1],
};
const QUANTIZED: ExpertInputs = {
  up: { weight: 2, scale: 3, bias: 4, zeroPoint: 11 },
  down: { weight: 5, scale: 6, bias: 7, zeroPoint: 12 },
  gated: { weight: 8, scale: 9, bias: 10, zeroPoint: 13 },
  ofExperts: [1, 14],
};
const [INTERLEAVED, APART] = [1, 2];

const EXPERT = 'is an expert of a router that chooses among all';
const GATE = 'is a gate';
/** onnxruntime takes scales in blocks for scales by row where there is one block of features. */
const BLOCKS = 'is in one of the two blocks of features that have to stay';
const ANOTHER_ORDER = 'has the weights of its experts in an order of its own';

/** An axis of a weight as the lanes of its units or features, of which bytes hold `packed` each along the last. */
function unpacked(axis: LaneAxis, packed: number, size: number): LaneAxis {
  return packed === 1 ? axis : spreadBlocks(axis, packed, size);
}

/** What belongs to the weights `[experts, units, features]` of one layer goes with its units, and along blocks with its features. */
function tieLayer(
  at: AnalysedNode,
  inputs: LayerInputs,
  packed: number,
): [units: LaneAxis, features: LaneAxis] {
  const [experts, units, bytes] = at.axes(inputs.weight);
  const [, rows, width] = at.sizes(inputs.weight);
  const size = width * packed;
  const features = unpacked(bytes, packed, size);
  at.freeze(experts, EXPERT);
  for (const input of [inputs.bias, inputs.scale, inputs.zeroPoint]) {
    if (!at.hasInput(input)) continue;
    const [own, unit, ...blocks] = at.axes(input);
    const perByte = input === inputs.zeroPoint ? packed : 1;
    at.freeze(own, EXPERT);
    at.tie(units, blocks.length > 0 ? unit : unpacked(unit, perByte, rows));
    for (const block of blocks) at.tie(features, spreadBlocks(block, blockSize(at) * perByte, size));
  }
  return [units, features];
}

/** Y sums over the chosen experts what each makes of X, weighed by the router: a hidden unit goes in all experts. */
const experts =
  (inputs: ExpertInputs, bits: number): StructureRule =>
  (at) => {
    const { up, down, gated } = inputs;
    const packed = 8 / bits;
    const x = at.axes(0);
    const [width, hidden] = [at.sizes(0)[x.length - 1], at.sizes(down.weight)[2] * packed];
    const rows = at.sizes(up.weight)[1];
    const isFused = at.text('activation_type', 'relu') === 'swiglu' && !at.hasInput(gated.weight);
    const parts = isFused ? 2 : 1;
    const fusion = isFused ? at.integer('swiglu_fusion', 0) : INTERLEAVED;
    const isKnown = at.sizes(down.weight)[1] === width && rows === parts * hidden;
    if (!isKnown || ![INTERLEAVED, APART].includes(fusion)) return at.frozen(ANOTHER_ORDER);
    const [upUnits, upFeatures] = tieLayer(at, up, packed);
    const [outputs, downFeatures] = tieLayer(at, down, packed);
    const shape = fusion === INTERLEAVED ? [hidden, parts] : [parts, hidden];
    const split = splitAxis(at.lanes, upUnits, shape, at.obstacle(GATE));
    const [units, gates] = fusion === INTERLEAVED ? split : split.toReversed();
    at.freeze(gates, GATE);
    at.tie(units, downFeatures);
    at.tie(x[x.length - 1], upFeatures);
    at.tie(x[x.length - 1], outputs);
    if (at.hasInput(gated.weight)) {
      const [gatedUnits, gatedFeatures] = tieLayer(at, gated, packed);
      at.tie(gatedUnits, units);
      at.tie(gatedFeatures, upFeatures);
    }
    at.contract(0, x.length - 1);
    contractUnits(at, inputs);
    const tokens = x.length > 2 ? mergeAxes(x.slice(0, -1), at.sizes(0).slice(0, -1)) : x[0];
    for (const input of inputs.ofExperts.filter((each) => at.hasInput(each))) {
      const [token, expert] = at.axes(input);
      at.tie(token, tokens);
      at.freeze(expert, EXPERT);
    }
    return [x];
  };

/** A unit whose input is 0 gives 0, whatever the activation function: without its weights, or without what scales them, and its bias. */
function contractUnits(at: AnalysedNode, { up }: ExpertInputs): void {
  for (const input of [up.scale < 0 ? up.weight : up.scale, up.bias]) {
    if (at.hasInput(input)) at.contract(input, 1);
  }
}

/** Features that share a scale; 0 where all of a row do. */
const blockSize = (at: AnalysedNode) => at.integer('block_size', 0);

const quantizedExperts: StructureRule = (at) => {
  const bits = at.integer('expert_weight_bits', 4);
  const isRaw = at.text('quant_type', 'int') === 'int' && at.integer('weights_prepacked', 0) <= 0;
  const block = blockSize(at);
  const isKnown =
    [2, 4, 8].includes(bits) && [3, 6].every((scale) => at.axes(scale).length === (block > 0 ? 3 : 2));
  if (!isRaw || !isKnown) return at.frozen(ANOTHER_ORDER);
  if (block > 0) at.freeze(at.axes(0).at(-1) ?? null, BLOCKS, (feature) => feature < 2 * block);
  return experts(QUANTIZED, bits)(at);
};

/** Mixtures of experts in one operator. */
export const EXPERT_RULES: StructureRules = new Map<string, StructureRule>([
  ['com.microsoft.MoE', experts(FLOATS, 8)],
  ['com.microsoft.QMoE', quantizedExperts],
]);
