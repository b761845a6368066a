import type { OnnxInput } from '../graph/interface.ts';
import type { AxisPlace, AxisTies } from './open-axes.ts';
import { findSampleAxes } from './sample-axes.ts';

const CACHE_NAME = /past|cache|(^|[^a-z])(kv|mems?)([^a-z]|$)/i;
const TOTAL_NAME = /total|kv|full/i;
const MASK_NAME = /mask|bias/i;

/** What each of the others may be the sum of is tried; more than a few is no cache. */
const MAX_OTHERS = 4;

/** An axis whose size a model leaves open, and that does not count samples. */
interface OpenPlace extends AxisPlace {
  readonly input: OnnxInput;
  readonly label: string;
}

/**
 * What sizes may hang on each other in a decoder that takes what it computed before: masks and axes of totals are as long as past and new positions together, or as
 * the past alone, and there may be one new position at a time. The likeliest first; none for a model without such inputs.
 */
export function tieCacheAxes(inputs: readonly OnnxInput[]): AxisTies[] {
  const places = openPlaces(inputs);
  const caches = new Set(inputs.filter((input) => isCache(input, inputs)).map(({ name }) => name));
  const ofCaches = places.filter(({ name }) => caches.has(name));
  const outside = places.filter(({ name }) => !caches.has(name));
  const unmasked = outside.filter(({ name }) => !MASK_NAME.test(name));
  const past = ofCaches.find(({ label }) => /past|cache/i.test(label)) ?? ofCaches[0];
  const current = unmasked.find(({ label }) => !TOTAL_NAME.test(label));
  const steps = current === undefined ? fixedSteps(inputs, caches) : 0;
  if (past === undefined || steps === null) return [];
  const isCurrent = (place: OpenPlace) => current !== undefined && isSameAxis(place, current);
  // A mask of what another input holds, such as an encoder's, says so by the name of its axis.
  const others = outside.filter((place) => !isCurrent(place));
  const isElsewhere = ({ label }: OpenPlace) =>
    label !== '' &&
    !TOTAL_NAME.test(label) &&
    label !== current?.label &&
    unmasked.some((other) => other.label === label);
  const totals = outside.filter((place) => isTotal(place) && !isElsewhere(place));
  const fresh = outside.filter(
    ({ label, axis }) => label === current?.label && (label !== '' || axis === current.axis),
  );
  const single = fresh.filter((place) => !totals.includes(place));
  const sums = (summed: readonly AxisPlace[], parts: readonly AxisPlace[], fixed = 0) =>
    summed.map((place) => ({ place, parts, fixed }));
  const together = current === undefined ? [past] : [past, current];
  const likely = [
    sums(totals, together, steps),
    [...sums(single, [], 1), ...sums(totals, [past], 1)],
    sums(totals, [past]),
    ...others.slice(0, MAX_OTHERS).map((place) =>
      sums(
        others.filter((other) => isSameAxis(other, place)),
        together,
        steps,
      ),
    ),
  ];
  return likely.filter((ties) => ties.length > 0).map((ties) => ({ caches, ties }));
}

function openPlaces(inputs: readonly OnnxInput[]): OpenPlace[] {
  const sampleAxes = findSampleAxes(inputs);
  return inputs.flatMap((input) =>
    (input.dims ?? []).flatMap((dim, axis): OpenPlace[] => {
      if (typeof dim === 'number' || sampleAxes.get(input.name) === axis) return [];
      return [{ name: input.name, axis, input, label: dim ?? '' }];
    }),
  );
}

/** New positions of a decoder that takes always as many, by its ids or else by what they are embedded as; null where no input tells. */
function fixedSteps(inputs: readonly OnnxInput[], caches: ReadonlySet<string>): number | null {
  const rest = inputs.filter(({ name }) => !caches.has(name) && !MASK_NAME.test(name));
  const lengths = [2, 3].flatMap((rank) =>
    rest.flatMap(({ dims }) => (dims?.length === rank && typeof dims[1] === 'number' ? dims[1] : [])),
  );
  return lengths[0] ?? null;
}

/** By its name, by those of its axes, or as one of several float inputs of four axes beside ids. */
function isCache({ name, dims, dtype }: OnnxInput, inputs: readonly OnnxInput[]): boolean {
  if (dims === null || dims.length < 3) return false;
  if (MASK_NAME.test(name)) return false;
  if (CACHE_NAME.test(name) || dims.some((dim) => typeof dim === 'string' && /past|cache/i.test(dim)))
    return true;
  const isLike = (other: OnnxInput) => other.dtype === dtype && `${other.dims}` === `${dims}`;
  const hasIds = inputs.some((other) => /^int/.test(other.dtype ?? '') && other.dims?.length === 2);
  return dims.length === 4 && hasIds && inputs.filter(isLike).length > 1;
}

/** The last axis of a mask, or one called a total. */
function isTotal({ input, axis, label }: OpenPlace): boolean {
  if (/encoder|cross/i.test(input.name)) return false;
  return TOTAL_NAME.test(label) || (MASK_NAME.test(input.name) && axis === (input.dims?.length ?? 0) - 1);
}

/** One axis under one name; without names they are told apart by their inputs. */
function isSameAxis(place: OpenPlace, other: OpenPlace): boolean {
  return place.label !== ''
    ? place.label === other.label
    : place.name === other.name && place.axis === other.axis;
}
