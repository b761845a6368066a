import { number } from '../report/wording.ts';
import type { Recipe } from './api-types.ts';

const ACTIONS: Readonly<Record<string, string>> = {
  weight: 'Zero single weights',
  channel: 'Remove channels',
  head: 'Remove attention heads',
  kan_node: 'Remove KAN nodes',
};

/** What a recipe does, in a line: `Remove channels, then repair`. */
export function describeRecipe({ granularity, repair }: Recipe): string {
  const action = ACTIONS[String(granularity)] ?? `Remove by ${String(granularity)}`;
  return repairsOf(repair).length > 0 ? `${action}, then repair` : action;
}

/** By what, in the terms of the API: `obs, layer, least_squares + batch_norm, beta 1.2`. */
export function describeDetails({ criterion, scope, repair, beta }: Recipe): string {
  const repairs = repairsOf(repair);
  return [
    String(criterion),
    `scope ${String(scope)}`,
    ...(repairs.length > 0 ? [repairs.join(' + ')] : []),
    ...(typeof beta === 'number' ? [`beta ${number(beta)}`] : []),
  ].join(' · ');
}

function repairsOf(repair: unknown): string[] {
  return Array.isArray(repair) ? repair.map(String) : [];
}

/** A field of a recipe in a cell; a dash for none. */
export function describeField(value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(describeField).join(' + ');
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([name, part]) => `${name} ${describeField(part)}`)
      .join(', ');
  return typeof value === 'number' ? number(value) : String(value);
}
