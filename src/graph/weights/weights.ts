import { isDeepStrictEqual } from 'node:util';
import type { RowLayout } from '../../formats/model.ts';
import type { OnnxModel, OnnxValue } from '../onnx-model.ts';
import { CalledNode, type Frame, type Step, unrollModel } from '../program.ts';
import type { Constant } from './constant-shapes.ts';
import {
  constantNode,
  findConstants,
  passages,
  ruleOf,
  type StoredTensor,
  storedTensor,
  ValueMap,
} from './constants.ts';
import type { Move } from './element-moves.ts';
import { type IndexMap, isSameMap, moveMap } from './index-map.ts';
import { type Routed, routedOutput } from './routed.ts';
import { type AxisRoles, createRowLayout, moveRoles } from './row-layout.ts';
import { CHOOSING, createSite, type SiteTree } from './weight-sites.ts';
import { weightSlotsOf } from './weight-slots.ts';

/** What layers multiply by in one way: the whole of a constant, or a part of it. */
export interface WeightPart {
  /** The feature of the sources that an element multiplies. */
  readonly features: IndexMap;
  /** The feature of the results that an element adds to. */
  readonly units: IndexMap;
  readonly sites: SiteTree;
}

/** What is known of a constant that layers multiply by. */
interface Reached {
  readonly roles: AxisRoles;
  readonly parts: readonly WeightPart[];
}

/** A stored tensor that layers multiply by. */
export interface Weight extends Pick<Reached, 'parts'> {
  /** Which of its elements form a row: null where that is not defined, or where consumers disagree. */
  readonly rows: RowLayout | null;
}

/** Of one weight; more than any real one is taken apart in. */
const MAX_PARTS = 256;
/** Followed through the nodes between what is stored and layers, of weights in several parts: each would be at every node. */
const MAX_FOLLOWED = 100_000;

/**
 * The stored tensors that layers multiply by.
 *
 * One sweep forward through the unrolled model finds the constants and their shapes, one backward carries the axes' roles
 * from every layer's weight slot through the operators that make constants of constants, down to what the file holds.
 */
export function findWeights(model: OnnxModel): Map<StoredTensor, Weight> {
  const steps = unrollModel(model);
  const constants = findConstants(steps);
  const routed = findRouted(steps, constants);
  const reached = new ValueMap<Reached>();
  let followed = 0;
  const reach: Reach = (frame, value, found) => {
    if (value === null) return;
    if (found.parts.length > 1) followed += found.parts.length;
    const told = followed > MAX_FOLLOWED ? untold(found) : found;
    reached.set(frame, value, merge(reached.get(frame, value), told));
  };

  for (let index = steps.length - 1; index >= 0; index--) {
    const step = steps[index];
    if (step.kind === 'node') {
      reachSlots(step, constants, routed, reached, reach);
      reachOperands(step, constants, reached, reach);
      reachRouted(step, routed, reached, reach);
      continue;
    }
    for (const { to, from, toFrame, fromFrame, scanAxis } of passages(step)) {
      const found = reached.get(toFrame, to);
      if (found === undefined) continue;
      const axis = scanAxis ?? 0;
      const whole = constants.get(fromFrame, from)?.shape ?? null;
      const part = constants.get(toFrame, to)?.shape ?? null;
      const unstack: Move = { how: 'unstack', result: part, axis, size: whole?.[axis] ?? 1, at: null };
      reach(fromFrame, from, scanAxis === null ? found : move(found, unstack));
    }
  }

  const weights = new Map<StoredTensor, Reached>();
  for (const [frame, value, found] of reached.entries()) {
    const stored = storedTensor(frame, value);
    if (stored === null || !isMatrixLike(stored, found.roles)) continue;
    weights.set(stored, merge(weights.get(stored), found));
  }
  return new Map(
    [...weights].map(([stored, { roles, parts }]) => [stored, { rows: createRowLayout(roles), parts }]),
  );
}

function findRouted(steps: readonly Step[], constants: ValueMap<Constant>): ValueMap<Routed> {
  const routed = new ValueMap<Routed>();
  for (const { kind, node, frame } of steps) {
    const [output] = node.outputs;
    const found = kind === 'node' && output ? routedOutput(node, frame, constants, routed) : null;
    if (output && found) routed.set(frame, output, found);
  }
  return routed;
}

/** Where its way could not be followed, a weight must look like one. */
function isMatrixLike(stored: StoredTensor, roles: AxisRoles): boolean {
  return roles !== null || stored.dims.filter((size) => size > 1n).length >= 2;
}

/** What two consumers multiply by, together. */
function merge(known: Reached | undefined, found: Reached): Reached {
  if (known === undefined) return found;
  const roles = isDeepStrictEqual(known.roles, found.roles) ? found.roles : null;
  const parts = [...known.parts];
  for (const part of found.parts) {
    const alike = ({ features, units }: WeightPart) =>
      isSameMap(features, part.features) && isSameMap(units, part.units);
    const at = parts.findIndex(alike);
    if (at < 0) parts.push(part);
    else parts[at] = { ...part, sites: joinSites(parts[at].sites, part.sites) };
  }
  return parts.length <= MAX_PARTS ? { roles, parts } : untold({ roles, parts });
}

/** Without where its parts are. */
function untold({ roles, parts }: Reached): Reached {
  const sites = parts.map((part) => part.sites).reduce(joinSites);
  return { roles, parts: [{ features: null, units: null, sites }] };
}

function joinSites(known: SiteTree, found: SiteTree): SiteTree {
  return known === found ? found : [known, found];
}

function move({ roles, parts }: Reached, how: Move): Reached {
  return {
    roles: moveRoles(roles, how),
    parts: parts.map(({ features, units, sites }) => ({
      features: moveMap(features, how),
      units: moveMap(units, how),
      sites,
    })),
  };
}

type Reach = (frame: Frame, value: OnnxValue | null, found: Reached) => void;

function reachSlots(
  step: Step,
  constants: ValueMap<Constant>,
  routed: ValueMap<Routed>,
  reached: ValueMap<Reached>,
  reach: Reach,
): void {
  const { node, frame } = step;
  const slots = weightSlotsOf(node);
  if (slots.length === 0) return;
  // What is made of constants is a weight where a layer multiplies by it, not where a weight is divided by it.
  const isRead = node.outputs.some((value) => value !== null && reached.get(frame, value) !== undefined);
  if (!isRead && constantNode(node, frame, constants)) return;
  for (const { input, layout } of slots) {
    const value = node.inputs[input] ?? null;
    const constant = value === null ? undefined : constants.get(frame, value);
    const chosen = value === null || !CHOOSING.has(node.op) ? undefined : routed.get(frame, value);
    const shape = constant ? constant.shape : chosen?.shape;
    if (value === null || shape === undefined) continue;
    const found = layout(shape, new CalledNode(node, frame), chosen !== undefined);
    if (found === undefined) continue;
    const { roles, source, result } = found;
    reach(frame, value, {
      roles,
      parts: [
        {
          features: typeof source === 'string' ? null : source.map,
          units: typeof result === 'string' ? null : result.map,
          sites: createSite(step, found, constants, chosen && { ...chosen, value }),
        },
      ],
    });
  }
}

/** From matrices that data choose to the constant they are chosen of. */
function reachRouted(
  { node, frame }: Step,
  routed: ValueMap<Routed>,
  reached: ValueMap<Reached>,
  reach: Reach,
): void {
  const [output] = node.outputs;
  const at = output ? routed.get(frame, output) : undefined;
  const found = output ? reached.get(frame, output) : undefined;
  if (at && found) reach(frame, node.inputs[0], move(found, at.move ?? { how: 'stack', size: at.size }));
}

/** From a constant result to the constants it is made of. */
function reachOperands(
  { node, frame }: Step,
  constants: ValueMap<Constant>,
  reached: ValueMap<Reached>,
  reach: Reach,
): void {
  const moveOf = ruleOf(node)?.moveOf;
  const at = moveOf && constantNode(node, frame, constants);
  for (const [output, value] of node.outputs.entries()) {
    const found = value === null ? undefined : reached.get(frame, value);
    if (found === undefined) continue;
    for (const { graph } of node.subgraphs) {
      // Which branch gives the weight is known only at run time.
      const given = graph.outputs[output];
      if (given) reach(frame, given, untold(found));
    }
    if (!moveOf || !at) continue;
    // Only Split has more than one output, all of them parts of its first input.
    const operands = output === 0 ? node.inputs : node.inputs.slice(0, 1);
    for (const [input, operand] of operands.entries()) {
      const how = moveOf(at, input, output);
      if (how !== undefined) reach(frame, operand, move(found, how));
    }
  }
}
