import { setIntegers } from '../../graph/messages.ts';
import { splitAxis } from '../lane-axes.ts';
import type { StructureRule, StructureRules } from '../structure-rule.ts';
import { passingBut, tieBroadcast } from './elementwise.ts';

export const STATISTICS = 'has its mean and variance taken over it';

/** One number of each parameter a channel, and of each mean and variance that comes out. */
const perChannel: StructureRule = (at) => {
  const x = at.axes(0);
  if (x.length < 2) return at.frozen('is normalized without an axis of channels');
  for (const input of at.givenInputs.slice(1)) at.tie(x[1], at.axes(input)[0]);
  return at.node.outputs.map((_, output) => (output === 0 ? x : [x[1]]));
};

/** In training the mean and variance are those of the input. */
const batchNormalization: StructureRule = (at) => {
  if (at.integer('training_mode', 0) === 1) at.fixed(at.axes(0).toSpliced(1, 1), STATISTICS);
  return perChannel(at);
};

const instanceNormalization: StructureRule = (at) => {
  at.fixed(at.axes(0).slice(2), STATISTICS);
  return perChannel(at);
};

/** Normalizes over `axis` and all after it. */
const layerNormalization: StructureRule = (at) => {
  const x = at.axes(0);
  const first = at.axis('axis', -1, x.length);
  for (const input of at.givenInputs.slice(1)) tieBroadcast(at, input, x);
  at.fixed(x.slice(first), STATISTICS);
  return at.node.outputs.map((_, output) =>
    output === 0 ? x : x.map((axis, i) => (i >= first ? null : axis)),
  );
};

/** Statistics go over the channels of a group: it goes as a whole. Scale and bias are by group before version 21, and by channel since. */
const groupNormalization: StructureRule = (at) => {
  const x = at.axes(0);
  const [groups, channels] = [at.integer('num_groups', 1), at.sizes(0)[1]];
  const [group, within] = splitAxis(at.lanes, x[1], [groups, channels / groups], at.obstacle(STATISTICS));
  at.fixed([within, ...x.slice(2)], STATISTICS);
  for (const input of at.givenInputs.slice(1))
    at.tie(at.sizes(input)[0] === channels ? x[1] : group, at.axes(input)[0]);
  at.onRemoval((edit) => {
    if (edit.shrinks(group)) setIntegers(at.node.proto, 'num_groups', edit.kept(group, groups).length);
  });
  return [x];
};

/** Before version 13 over `axis` and all after it. */
const softmax = passingBut('is normalized over', (x, at) => {
  const isOld = at.facts.opset < 13;
  const axis = at.axis('axis', isOld ? 1 : -1, x.length);
  return isOld ? x.slice(axis) : [x[axis]];
});

const meanVarianceNormalization = passingBut(STATISTICS, (x, at) =>
  (at.integers('axes') ?? [0, 2, 3]).map((axis) => x.at(axis) ?? null),
);

export const NORM_RULES: StructureRules = new Map<string, StructureRule>([
  ['BatchNormalization', batchNormalization],
  ['InstanceNormalization', instanceNormalization],
  ['LayerNormalization', layerNormalization],
  ['SimplifiedLayerNormalization', layerNormalization],
  ['RMSNormalization', layerNormalization],
  ['GroupNormalization', groupNormalization],
  ['LRN', passingBut('is normalized across neighbouring channels', (x) => [x[1]])],
  ['Softmax', softmax],
  ['LogSoftmax', softmax],
  ['Hardmax', softmax],
  ['LpNormalization', passingBut(STATISTICS, (x, at) => [x[at.axis('axis', -1, x.length)]])],
  ['MeanVarianceNormalization', meanVarianceNormalization],
]);
