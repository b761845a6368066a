import { elementCount } from '../../formats/model.ts';
import type { CountProducts, Operands, Product } from './operands.ts';

const SHARED_BUFFER = 'keeps its past in a buffer, of which the sizes do not tell how much is filled';

/** `queries x keys'` and `weights x values`: each query, and each output, of all heads by every key. Masked positions count too. */
function attend(queries: number, outputs: number, keys: number): Product {
  return { operands: [], macs: (queries + outputs) * keys };
}

/** Of opset 23: `[batch, sequence, heads * width]` or `[batch, heads, sequence, width]`. */
const attention: CountProducts = (at) => {
  const [key, past] = [at.shape(1), at.optional(4)];
  const keys = (key.length === 3 ? key[1] : key[2]) + (past?.[2] ?? 0);
  return [attend(at.count(0), elementCount(at.output()), keys)];
};

/** One weight gives queries, keys and values side by side. @param pastInput `[2, batch, heads, past, width]` */
function mergedAttention(pastInput: number): CountProducts {
  return (at) => {
    if (at.integer('past_present_share_buffer', 0) !== 0) return SHARED_BUFFER;
    const [[batch, length], [, width], past] = [at.shape(0), at.shape(1), at.optional(pastInput)];
    const [hidden] = at.integers('qkv_hidden_sizes') ?? [width / 3];
    const rows = batch * length;
    return [
      { operands: [1], macs: rows * at.count(1) },
      attend(rows * hidden, elementCount(at.output()), length + (past?.[3] ?? 0)),
    ];
  };
}

/** Queries, keys and values come one by one, or in one value of five axes. */
const multiHeadAttention: CountProducts = (at) => {
  if (at.node.inputs[8]) return SHARED_BUFFER;
  const [query, key, past] = [at.shape(0), at.optional(1), at.optional(6)];
  const queries = query.length === 5 ? at.count(0) / 3 : at.count(0);
  const keys = key === null ? query[1] : key.length === 4 ? key[2] : key[1];
  return [attend(queries, elementCount(at.output()), keys + (past?.[2] ?? 0))];
};

/** Keys and values of fewer heads, kept as `[batch, heads, total, width]` for the next run. */
const groupQueryAttention: CountProducts = (at) => {
  const outputs = elementCount(at.output());
  return [attend(outputs, outputs, totalOf(at))];
};

function totalOf(at: Operands): number {
  if (at.gives(1)) return at.output(1)[2];
  const past = at.optional(3);
  return at.shape(0)[1] + (past?.[2] ?? 0);
}

export const STANDARD_ATTENTION: ReadonlyMap<string, CountProducts> = new Map([['Attention', attention]]);

export const MICROSOFT_ATTENTION: ReadonlyMap<string, CountProducts> = new Map([
  ['Attention', mergedAttention(4)],
  ['QAttention', mergedAttention(8)],
  ['MultiHeadAttention', multiHeadAttention],
  ['GroupQueryAttention', groupQueryAttention],
]);
