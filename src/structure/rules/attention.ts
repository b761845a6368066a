import { setIntegers } from '../../graph/messages.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { tieBroadcast } from './elementwise.ts';
import {
  countHeads,
  type HeadAxes,
  headsApart,
  headsTogether,
  keepScale,
  mixedValues,
  queryHeads,
  stretchOf,
  tieCache,
  tieHeads,
} from './heads.ts';

const [MASK, PAST_KEY, PAST_VALUE, LENGTHS] = [3, 4, 5, 6];

/** Y = softmax(scale Q K' + mask) V, head by head; several heads of queries read one of keys and values. */
const attention: StructureRule = (at) => {
  const isApart = at.sizes(0).length === 4;
  const heads = isApart ? at.sizes(1)[1] : at.integer('kv_num_heads', 1);
  const count = isApart ? at.sizes(0)[1] : at.integer('q_num_heads', 1);
  const places = count / heads;
  const read = (input: number) =>
    isApart ? headsApart(at, input, heads) : headsTogether(at, input, heads, input === 0 ? places : 1);
  const [query, key, value] = [0, 1, 2].map(read);
  tieHeads(at, query, key, value);
  at.contract(0, isApart ? 3 : 2);
  const all = queryHeads(query);
  if (at.hasInput(MASK)) tieBroadcast(at, MASK, [query.batch, all, query.sequence, null]);
  tieCache(at, at.axes(PAST_KEY), key);
  tieCache(at, at.axes(PAST_VALUE), value);
  if (at.hasInput(LENGTHS)) at.freeze(query.batch, 'is a sequence of a length of its own');
  if (at.integer('is_causal', 0) === 1) at.freeze(query.sequence, 'is a place in a sequence');
  at.onRemoval((edit) => {
    keepScale(at, edit, query);
    countHeads(at, edit, 'q_num_heads', query);
    countHeads(at, edit, 'kv_num_heads', key);
  });
  const mixed = isApart
    ? [query.batch, all, query.sequence, value.width]
    : [query.batch, query.sequence, mixedValues(query, value)];
  return [
    mixed,
    [query.batch, query.heads, null, key.width],
    [query.batch, query.heads, null, value.width],
    [query.batch, all, query.sequence, null],
  ].slice(0, at.node.outputs.length);
};

/** Where a RotaryEmbedding has its inputs. */
interface RotaryInputs {
  readonly cos: number;
  readonly sin: number;
  readonly positions: number;
}

/** Turns pairs of the first numbers of every head by angles: a pair goes with its angle. */
const rotary =
  (
    { cos, sin, positions }: RotaryInputs,
    headsOf: (at: AnalysedNode, turned: number) => HeadAxes,
  ): StructureRule =>
  (at) => {
    const half = at.sizes(cos).at(-1) ?? 0;
    const { batch, sequence, width, ...own } = headsOf(at, 2 * half);
    const isInterleaved = at.integer('interleaved', 0) === 1;
    const part = (index: 0 | 1) => {
      const columns = stretchOf(width, 0, 2 * half);
      return isInterleaved
        ? (columns?.map((column) => column.filter((_, position) => position % 2 === index)) ?? null)
        : stretchOf(columns, index * half, half);
    };
    at.tie(part(0), part(1));
    for (const input of [cos, sin]) {
      const axes = at.axes(input);
      at.tie(part(0), axes[axes.length - 1]);
      if (axes.length === 2) {
        at.freeze(axes[0], 'is looked up by index');
      } else {
        at.tie(batch, axes[0]);
        at.tie(sequence, axes[1]);
      }
    }
    if (at.hasInput(positions)) at.fixed([batch, sequence], 'has a position of its own');
    at.onRemoval((edit) => {
      if (at.integer('rotary_embedding_dim', 0) > 0)
        setIntegers(at.node.proto, 'rotary_embedding_dim', 2 * edit.kept(part(0), half).length);
      if (at.integer('num_heads', 0) > 0)
        setIntegers(at.node.proto, 'num_heads', edit.kept(own.heads, own.sizes[0]).length);
    });
    return [at.axes(0)];
  };

/** How wide a head is, the attributes say. */
const rotaryEmbedding = rotary({ cos: 1, sin: 2, positions: 3 }, (at) =>
  at.sizes(0).length === 4
    ? headsApart(at, 0, at.sizes(0)[1])
    : headsTogether(at, 0, at.integer('num_heads', 1), 1),
);

/** All of a head is turned, unless the attributes say otherwise. */
const fusedRotaryEmbedding = rotary({ positions: 1, cos: 2, sin: 3 }, (at, turned) => {
  const [sizes, isPartial] = [at.sizes(0), at.integer('rotary_embedding_dim', 0) > 0];
  if (sizes.length === 4) return headsApart(at, 0, sizes[1]);
  return headsTogether(at, 0, isPartial ? at.integer('num_heads', 1) : sizes[2] / turned, 1);
});

export const ATTENTION_RULES: StructureRules = new Map<string, StructureRule>([
  ['Attention', attention],
  ['RotaryEmbedding', rotaryEmbedding],
  ['com.microsoft.RotaryEmbedding', fusedRotaryEmbedding],
]);
