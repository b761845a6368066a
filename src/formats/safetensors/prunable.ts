import { isFloatDtype } from '../../core/dtype.ts';
import { elementCount, type ModelTensor, type RowLayout } from '../model.ts';

type Shape = readonly number[];
type ShapeOf = (name: string) => Shape | undefined;
type Rows = (name: string, shape: Shape, shapeOf: ShapeOf) => RowLayout | null;

/**
 * What a tensor is, told from its name and shape: the parts of `model.layers.0.mlp.up_proj.weight` that speak are the *layer* (`up_proj`) and
 * the *parameter* (`weight`). What is further out does not count: `embeddings.patch_embeddings.projection.weight` is a projection.
 */
interface NameRule {
  readonly what: string;
  readonly layer?: RegExp;
  /** `weight` unless given. */
  readonly parameter?: RegExp;
  readonly when?: (shape: Shape) => boolean;
  /** How the rows lie in it; `leave` for what is not a layer's weight. */
  readonly rows: Rows | 'leave';
}

const WEIGHT = /^weight$/;

/** The first rule that fits decides; a tensor that none fits is left alone. Only tensors of two dimensions and more are asked. */
const RULES: readonly NameRule[] = [
  {
    what: 'patch embedding of a vision transformer: a strided convolution in all but name',
    layer: /patch_?embed(ding)?s?$/i,
    rows: outFirst,
  },
  {
    what: 'output projection of GPT-NeoX, its lm_head',
    layer: /^embed_out$/,
    rows: outFirst,
  },
  {
    what: 'table of embeddings (tokens, positions, segments, codebooks): looked up, not multiplied by; each row is one word, so zeros cost that word',
    layer: /embed(ding)?s?(_table)?$|(^|_)embs?$|^embed_(in|tokens|positions)|^w[tp]e$|^shared$|codebook/i,
    rows: 'leave',
  },
  {
    what: 'table of relative or absolute positions',
    layer: /relative_(attention|position)_bias$|^pos(ition(al)?)?_?enc(od(er|ing))?s?$/i,
    rows: 'leave',
  },
  {
    what: 'scale of a normalisation over several axes',
    layer: /(^|_)norm(_|\d|$)|norm\d*$|normalization$|(^|_)(ln|bn|gn)(_|\d|$)/i,
    rows: 'leave',
  },
  {
    what: 'short depthwise convolution before a state-space scan (Mamba): a handful of taps a channel, which the pruning literature keeps',
    layer: /^conv1d$/,
    when: (shape) => shape[1] === 1,
    rows: 'leave',
  },
  {
    what: "GPT-2's Conv1D [in, out], or a Linear [out, in] under the same name (nanoGPT, CLIP, StarCoder)",
    layer: /^(c_attn|q_attn|c_fc|c_proj)$/,
    when: (shape) => shape.length === 2,
    rows: gpt2Block,
  },
  {
    what: 'stacked Linears of a mixture of experts [experts, out, in] (Granite, JetMoE)',
    layer: /^(input|output)_linear$/,
    when: (shape) => shape.length === 3,
    rows: (_name, [experts, out, reduced]) => ({ outer: experts, reduced: 1, units: out, inner: reduced }),
  },
  {
    what: 'stacked projections of a mixture of experts (Llama 4, gpt-oss, Qwen)',
    layer: /^experts$/,
    parameter: /^(gate_up|down)_proj$/,
    when: (shape) => shape.length === 3,
    rows: stackedExperts,
  },
  {
    what: 'projections of nn.MultiheadAttention; weights of efficient-kan, spline_weight being [out, in, coefficients]',
    parameter: /^((in|q|k|v)_proj|base|spline)_weight$/,
    rows: outFirst,
  },
  {
    what: 'nn.LSTM, GRU and RNN: the gates stacked along the output axis',
    parameter: /^weight_(ih|hh|hr)(_l\d+(_reverse)?)?$/,
    rows: outFirst,
  },
  {
    what: 'Linear [out, in], Conv [out, in/groups, k...], Bilinear, LoRA',
    rows: outFirst,
  },
];

export type Classification = Pick<ModelTensor, 'role' | 'prunable' | 'rows'>;

const OTHER: Classification = { role: 'other', prunable: false, rows: null };

/**
 * Whether a safetensors tensor is a layer's weight, and how its rows lie. The format stores no graph, so this is a reading of names, on the careful
 * side: what no rule knows (weight_norm's `weight_v`, Swin's bias tables, buffers) is left alone, and a recipe's `include` overrules. Two things
 * names do not tell: a transposed convolution `[in, out/groups, k...]` is read as a convolution, so its *rows* are its inputs
 * (unstructured global and layer pruning do not care); an embedding in an unnamed layer (`0.weight`) is read as a Linear.
 * @param shapeOf the shapes of the model's other tensors, by name
 */
export function classifyTensor(name: string, shape: Shape, dtype: string, shapeOf: ShapeOf): Classification {
  if (shape.length < 2) return OTHER;
  const parts = name.split('.');
  const parameter = parts.at(-1) ?? '';
  const layer = parts.at(-2) ?? '';
  const rule = RULES.find(
    (rule) =>
      (rule.parameter ?? WEIGHT).test(parameter) &&
      (rule.layer?.test(layer) ?? true) &&
      (rule.when?.(shape) ?? true),
  );
  if (!rule || rule.rows === 'leave') return OTHER;
  const prunable = isFloatDtype(dtype) && !shape.includes(0);
  return { role: 'weight', prunable, rows: rule.rows(name, shape, shapeOf) };
}

function outFirst(_name: string, shape: Shape): RowLayout {
  const [units, ...rest] = shape;
  return { outer: 1, reduced: 1, units, inner: elementCount(rest) };
}

/**
 * `c_attn` and `c_fc` widen, `[d, 3d]` and `[d, 4d]` as a Conv1D, the reverse as a Linear: they tell for the whole block, whose `attn.c_proj` is square.
 */
function gpt2Block(name: string, shape: Shape, shapeOf: ShapeOf): RowLayout {
  const block = name.split('.').slice(0, -3);
  for (const widening of ['mlp.c_fc.weight', 'attn.c_attn.weight']) {
    const [first, second] = shapeOf([...block, widening].join('.')) ?? [];
    if (second > first) return { outer: 1, reduced: shape[0], units: shape[1], inner: 1 };
  }
  return outFirst(name, shape);
}

/**
 * Some families store `[experts, in, out]`, others `[experts, out, in]`. With `d` features and `m` hidden units an expert, `gate_up_proj` is
 * `[d, 2m]` and `down_proj` `[m, d]`, or both transposed; the pair tells which, no pair fits both.
 */
function stackedExperts(name: string, shape: Shape, shapeOf: ShapeOf): RowLayout | null {
  const module = name.split('.').slice(0, -1);
  const [, gateUp0, gateUp1] = shapeOf([...module, 'gate_up_proj'].join('.')) ?? [];
  const [, down0, down1] = shapeOf([...module, 'down_proj'].join('.')) ?? [];
  const [outer, first, second] = shape;
  if (gateUp0 === down1 && gateUp1 === 2 * down0) return { outer, reduced: first, units: second, inner: 1 };
  if (gateUp1 === down0 && gateUp0 === 2 * down1) return { outer, reduced: 1, units: first, inner: second };
  return null;
}
