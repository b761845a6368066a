import { z } from 'zod';
import type { ModelInventory } from '../formats/model.ts';
import {
  consumersOf,
  type Family,
  type FrozenAxis,
  producersOf,
  type Site,
  type Structures,
} from './families.ts';

/** A deep network has a few hundred frozen axes; a list of more is no longer read. */
export const MAX_FROZEN = 1000;

const axisSchema = z.object({
  tensor: z.string().describe("By its name in the model's inventory."),
  axis: z.int(),
  positions_each: z.int().describe('Positions along this axis that one structure takes.'),
});

const familySchema = z.object({
  name: z.string().describe('Unique within the model.'),
  kind: z
    .enum(['channel', 'head', 'kan_node', 'head_width'])
    .describe(
      'The granularity that removes them: `channel` a filter or neuron, `head` of attention, with whatever shares it, `kan_node` a node of a Kolmogorov-Arnold layer. `head_width`, one dimension within every head, is no granularity: it is shown and stays.',
    ),
  n: z.int().describe('Structures.'),
  producers: z
    .array(z.string())
    .describe('The weights that compute them. A structure is scored over its rows or filters of these.'),
  consumers: z
    .array(z.string())
    .describe(
      'The weights that read them, which `wanda`, `variance`, `obs` and `taylor_rms` score by. None: see `unread`.',
    ),
  unread: z
    .boolean()
    .describe(
      'Whether no output of the model depends on them: these criteria score them 0. Where it does, but by no weight, as by a sum, these criteria cannot score them.',
    ),
  axes: z.array(axisSchema).describe('All that shrinks when a structure goes.'),
});

const frozenAxisSchema = z.object({
  tensor: z.string(),
  axis: z.int(),
  node: z
    .string()
    .nullable()
    .describe('The node, or the output of the model, that stands against it; null where it is none alone.'),
  operator: z.string().nullable().describe("The node's operator; null where it is no node."),
  reason: z.string(),
});

/** What can be removed from a model whole, as clients are shown it: counts, no single structures. */
export const structureOverviewSchema = z
  .object({
    families: z
      .array(familySchema)
      .describe(
        'Structures that lie along the same axes, such as the channels of one convolution. Each can be removed alone, with all that hangs on it.',
      ),
    frozen: z
      .array(frozenAxisSchema)
      .max(MAX_FROZEN)
      .describe(
        `Axes of weights of which some positions must stay, with the first reason found; the first ${MAX_FROZEN} of them.`,
      ),
    n_frozen: z.int().describe('Frozen axes in all.'),
  })
  .meta({
    id: 'Structures',
    example: {
      families: [
        {
          name: '1.weight',
          kind: 'channel',
          n: 100,
          producers: ['1.weight'],
          consumers: ['3.weight'],
          unread: false,
          axes: [
            { tensor: '1.weight', axis: 0, positions_each: 1 },
            { tensor: '1.bias', axis: 0, positions_each: 1 },
            { tensor: '3.weight', axis: 1, positions_each: 1 },
          ],
        },
      ],
      frozen: [
        {
          tensor: '3.weight',
          axis: 0,
          node: 'logits',
          operator: null,
          reason: 'is an axis of an output of the model',
        },
      ],
      n_frozen: 1,
    },
  });
export type StructureOverview = z.output<typeof structureOverviewSchema>;

/** What is shown of an analysis: families that a granularity removes, and widths of heads, in terms of the model that was uploaded. */
export function describeStructures(
  { families, frozen }: Structures,
  { tensors }: ModelInventory,
): StructureOverview {
  const uploaded = new Set(tensors.map(({ name }) => name));
  return {
    families: families.flatMap((family) => describeFamily(family, uploaded)),
    frozen: describeFrozen(frozen),
    n_frozen: frozen.length,
  };
}

function describeFamily(family: Family, uploaded: ReadonlySet<string>): StructureOverview['families'] {
  const { name, kind, structures } = family;
  if (kind === 'other') return [];
  // All structures of a family have the same sites but for their positions.
  const [{ sites }] = structures;
  // The analysis makes copies of constants that several nodes share.
  const isUploaded = ({ tensor }: Site) => uploaded.has(tensor);
  return [
    {
      name,
      kind,
      n: structures.length,
      producers: producersOf(family),
      consumers: consumersOf(family),
      unread: family.isUnread,
      axes: sites.filter(isUploaded).map(({ tensor, axis, positions }) => ({
        tensor,
        axis,
        positions_each: positions.length,
      })),
    },
  ];
}

/** The first of them. */
export function describeFrozen(frozen: readonly FrozenAxis[]) {
  return frozen.slice(0, MAX_FROZEN).map(({ tensor, axis, node, operator, reason }) => ({
    tensor,
    axis,
    node: node || null,
    operator: operator || null,
    reason,
  }));
}
