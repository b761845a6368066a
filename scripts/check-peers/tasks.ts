/** Something that the product and its peers do to the same model. */
export interface Task {
  readonly title: string;
  /** Of the fixtures; null for the large random model, of which nothing but the masks can be told. */
  readonly network: string | null;
  readonly recipe: object;
  /** What `peers.py` is told, by peer. */
  readonly verbs: Readonly<Partial<Record<Peer, string>>>;
  readonly needsCalibration?: true;
  /** Whether peers are to give the same weights bit by bit. */
  readonly isSame?: true;
  /** Whether the product is to take at most half as long again as onnxsim for the repair, and be more accurate. */
  readonly isRace?: true;
}

export type Peer = 'onnxsim' | 'Torch-Pruning';

/** What each peer is installed with, in an environment of its own. */
export const PEERS: Readonly<Record<Peer, readonly string[]>> = {
  onnxsim: ['onnxsim==0.8.1', 'onnx==1.23.2', 'onnxruntime==1.32.0', 'numpy==2.4.6'],
  'Torch-Pruning': ['torch-pruning==1.6.1', 'torch==2.13.0', 'onnx==1.23.2', 'numpy==2.4.6'],
};

const HALF = { scope: 'layer', budget: { sparsity: 0.5 } };
const CHANNELS = { granularity: 'channel', criterion: 'l2_norm', round_to: 1, ...HALF };
const BOTH = { onnxsim: 'channels', 'Torch-Pruning': 'torch-channels' };

export const TASKS: readonly Task[] = [
  {
    title: '100 million weights, half of every row',
    network: null,
    recipe: { scope: 'row', budget: { sparsity: 0.5 } },
    verbs: { onnxsim: 'masks' },
    isSame: true,
  },
  {
    title: 'FC5, half of the channels',
    network: 'fc5-fashion',
    recipe: CHANNELS,
    verbs: BOTH,
  },
  {
    title: 'FC5, half of the channels, fitted',
    network: 'fc5-fashion',
    recipe: { ...CHANNELS, repair: ['least_squares'] },
    verbs: { onnxsim: 'repaired' },
    needsCalibration: true,
    isRace: true,
  },
  { title: 'CNN, half of the channels', network: 'cnn-fashion', recipe: CHANNELS, verbs: BOTH },
  {
    title: 'CNN, half of the channels, fitted',
    network: 'cnn-fashion',
    recipe: { ...CHANNELS, repair: ['least_squares', 'batch_norm'] },
    verbs: { onnxsim: 'repaired' },
    needsCalibration: true,
  },
];
