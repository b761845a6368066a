import type { Measured, Network } from './network.ts';
import type { Run } from './run.ts';
import { mapTwoAtATime } from './two-at-a-time.ts';

/** What a recipe is to reach on a network: a loss at most, or an accuracy at least. */
interface Claim {
  readonly network: string;
  readonly recipe: object;
  readonly of: 'loss' | 'accuracy';
  /** Null of a row that others are to be seen beside. */
  readonly wanted: number | null;
}

/** A claim, and what the product reached. */
export interface Checked extends Claim {
  readonly measured: Measured;
}

/** A name in `CLAIMS` that ends so is that of a network with BatchNormalization folded in. */
export const FOLDED = '-folded';

const HALF = { beta: 0.5 };
const THIRD = { beta: 0.3 };
const FIFTH = { beta: 0.2 };
const NINE_TENTHS_OF_ROWS = { scope: 'row', budget: { sparsity: 0.9 } };
const SEVEN_TENTHS_OF_ROWS = { scope: 'row', budget: { sparsity: 0.7 } };
const UNFOLDED_SCORES = { criterion: 'scores', ...HALF };

/** One row of the table each. */
const CLAIMS: readonly Claim[] = [
  ...masks('llama-tiny', HALF, 'loss', 1.818),
  ...masks('llama-tiny', THIRD, 'loss', 1.89),
  ...masks('fc2-mnist', FIFTH, 'accuracy', 0.942),
  ...masks('cnn-fashion', NINE_TENTHS_OF_ROWS, 'accuracy', 0.845, ['batch_norm']),
  { network: 'fc2-mnist', recipe: SEVEN_TENTHS_OF_ROWS, of: 'accuracy', wanted: null },
  swaps('fc2-mnist', SEVEN_TENTHS_OF_ROWS, 0.915),
  folded('cnn-fashion', 0.88),
  folded('resnet-fashion', 0.86),
  removed('cnn-fashion', 0.5, 0.865, ['batch_norm']),
  removed('cnn-fashion', 0.7, 0.75, ['batch_norm']),
  removed('fc5-fashion', 0.7, 0.868),
  ...shared('fc12-fashion', 0.5, 'accuracy', 0.825),
  ...shared('fc5-fashion', 0.65, 'loss', 0.368),
  ...shared('llama-tiny', 0.65, 'loss', 1.901),
];

/** Masks chosen in the fit, beside those of the scores. */
function masks(
  network: string,
  amount: object,
  of: Claim['of'],
  wanted: number,
  behind: readonly string[] = [],
): Claim[] {
  const row = (repair: string, wanted: number | null) => ({
    ...{ network, of, wanted },
    recipe: { ...amount, repair: [repair, ...behind] },
  });
  return [row('least_squares', null), row('least_squares_masks', wanted)];
}

/** Masks exchanged, with the dense model's values. */
function swaps(network: string, amount: object, wanted: number): Claim {
  return { network, recipe: { ...amount, repair: ['swaps'] }, of: 'accuracy', wanted };
}

/** Scored by the weights before they were folded, so that the same ones go as from the network itself. */
function folded(network: string, wanted: number): Claim {
  const recipe = { ...UNFOLDED_SCORES, repair: ['channel_variance'] };
  return { network: `${network}${FOLDED}`, recipe, of: 'accuracy', wanted };
}

/** Channels, the same share of every family, by what their removal costs once the layers that read them are fitted. */
function removed(network: string, sparsity: number, wanted: number, behind: readonly string[] = []): Claim {
  const structures = { granularity: 'channel', criterion: 'obs', scope: 'layer', round_to: 1 };
  const recipe = { ...structures, budget: { sparsity }, repair: ['least_squares', ...behind] };
  return { network, recipe, of: 'accuracy', wanted };
}

/** A total shared among the tensors as calibration data say, beside the same share of each and one threshold for all. */
function shared(network: string, sparsity: number, of: Claim['of'], wanted: number): Claim[] {
  const budget = { sparsity };
  const row = (recipe: object, wanted: number | null) => ({ network, recipe, of, wanted });
  return [
    row({ scope: 'layer', budget }, null),
    row({ budget }, null),
    row({ budget, allocation: 'auto' }, wanted),
    row({ budget, allocation: 'auto', allocation_moves: 30 }, wanted),
  ];
}

/** The networks of the claims. */
export const CLAIMED = [...new Set(CLAIMS.map(({ network }) => network))];

export async function checkMethods(networks: readonly Network[], run: Run): Promise<Checked[]> {
  return await mapTwoAtATime(CLAIMS, async (claim) => {
    const network = networks.find(({ name }) => name === claim.network);
    if (network === undefined) throw new TypeError(`no network ${claim.network}`);
    return { ...claim, measured: await run(network, claim.recipe) };
  });
}
