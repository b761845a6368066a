/** What a criterion scores by, beside what is stored in the model's files. */
export type Need = keyof typeof NEEDS;

/** What each need means to who writes a recipe. What a job has to bring for it is checked in `needs.ts`, where the model shows it in `intake/plan-job.ts`. */
export const NEEDS = {
  graph: 'an ONNX model',
  scores: 'a dataset of scores',
  calibration: 'calibration data',
  labels: 'calibration data with labels',
  layer_inputs: 'layers whose inputs can be captured',
  layer_outputs: 'layers whose outputs can be captured',
  layer_matrices: 'layers that multiply a stored matrix by inputs that can be captured',
  gradients: 'operators that have a gradient rule',
  batch_norm: 'BatchNormalization that the export has kept',
} as const;

/** How a criterion scores one kind of component. */
export interface Scoring {
  /** In words, of one component; `{unit}` stands for what a structure is called. */
  readonly score: string;
  readonly formula: string;
  readonly needs: readonly Need[];
}

export interface CriterionRow {
  /** Null: it scores no single weights. */
  readonly weights: Scoring | null;
  /** Null: it scores no structures. */
  readonly structures: Scoring | null;
  /** The only structures that it scores; absent: all. */
  readonly only?: 'kan_node';
  /** Where the formula was published. */
  readonly source?: string;
}

const OF_INPUTS: readonly Need[] = ['calibration', 'layer_inputs'];
const OF_OUTPUTS: readonly Need[] = ['calibration', 'layer_outputs'];
const OF_MATRICES: readonly Need[] = ['calibration', 'layer_matrices'];
const OF_GRADIENTS: readonly Need[] = ['calibration', 'labels', 'gradients'];

/**
 * The criteria by their names in a recipe. Request schema, job check, OpenAPI, the tables of docs/reference.md and the report's words are made of these rows; the code of one is the file of its
 * name in `criteria/weights/` or `criteria/structures/`.
 */
export const CRITERIA = {
  magnitude: {
    weights: { score: 'the weight’s absolute value |W|', formula: '|W|', needs: [] },
    structures: null,
  },
  l2_norm: {
    weights: null,
    structures: {
      score: 'the l2 norm of the weights that compute a {unit}, biases aside',
      formula: '‖W‖₂',
      needs: [],
    },
  },
  bn_gamma: {
    weights: null,
    structures: {
      score:
        '|gamma| of the BatchNormalization behind the layer that computes a {unit}; of several the root mean square',
      formula: '|γ|',
      needs: ['graph', 'batch_norm'],
    },
  },
  activation: {
    weights: {
      score: '|W| times the mean |activation| of the output unit that it feeds, over the calibration data',
      formula: '|W| mean |y|',
      needs: OF_OUTPUTS,
    },
    structures: {
      score: 'the mean |output| of the rows that compute a {unit}, summed, over the calibration data',
      formula: 'Σ mean |y|',
      needs: OF_OUTPUTS,
    },
  },
  wanda: {
    weights: {
      score: '|W| times the l2 norm of the input feature that it multiplies, over the calibration data',
      formula: '|W| ‖x‖₂',
      needs: OF_INPUTS,
    },
    structures: {
      score:
        'the l2 norm, over the weights that read a {unit}, of |W| times the l2 norm of the input feature, over the calibration data',
      formula: '√Σ (|W| ‖x‖₂)²',
      needs: OF_INPUTS,
    },
    source: 'Sun et al., arXiv 2306.11695',
  },
  variance: {
    weights: null,
    structures: {
      score:
        'the variance of what a {unit} gives over the calibration data, times W² of the weights that read it, summed',
      formula: 'Σ var(x) W²',
      needs: OF_INPUTS,
    },
  },
  obs: {
    weights: null,
    structures: {
      score:
        'the root of what a {unit} adds to the squared error of the layers that read it when it is removed, one after the other and the least first, while all weights that are left make up for it, over the calibration data',
      formula: '√tr(W_c (H_cc)⁻¹ W_cᵀ), H = (XᵀX + λ)⁻¹',
      needs: OF_MATRICES,
    },
    source: 'Hassibi and Stork, NIPS 1992; Kurtic et al., arXiv 2302.04089',
  },
  taylor: {
    weights: {
      score: '|W| times |gradient|, of the mean loss over the calibration data',
      formula: '|W ∂L/∂W|',
      needs: OF_GRADIENTS,
    },
    structures: null,
    source: 'Molchanov et al., arXiv 1611.06440',
  },
  saliency: {
    weights: {
      score: '|gradient| of the mean loss over the calibration data',
      formula: '|∂L/∂W|',
      needs: OF_GRADIENTS,
    },
    structures: null,
  },
  taylor_rms: {
    weights: {
      score: '|W| times the root mean square of the calibration samples’ gradients',
      formula: '|W| rms ∂Lₙ/∂W',
      needs: OF_GRADIENTS,
    },
    structures: {
      score:
        'what the loss of a calibration sample changes by without a {unit}, to first order (W times gradient, summed over the weights that read it): the root mean square over samples',
      formula: 'rms |Σ W ∂Lₙ/∂W|',
      needs: OF_GRADIENTS,
    },
    source: 'Molchanov et al., arXiv 1906.10771',
  },
  saliency_rms: {
    weights: {
      score: 'the root mean square of the calibration samples’ gradients',
      formula: 'rms ∂Lₙ/∂W',
      needs: OF_GRADIENTS,
    },
    structures: null,
  },
  kan_node: {
    weights: null,
    structures: {
      score: 'the largest of the splines into and out of a {unit}, each by the mean |coefficient|',
      formula: 'max mean |spline_weight · spline_scaler|',
      needs: [],
    },
    only: 'kan_node',
  },
  random: {
    weights: { score: 'drawn evenly, whatever the weight', formula: 'uniform on (0, 1]', needs: [] },
    structures: { score: 'drawn evenly, whatever the {unit}', formula: 'uniform on (0, 1]', needs: [] },
  },
  scores: {
    weights: { score: 'as uploaded', formula: '|s|', needs: ['scores'] },
    structures: { score: 'as uploaded, a number for each {unit}', formula: '|s|', needs: ['scores'] },
  },
} as const satisfies Readonly<Record<string, CriterionRow>>;

export type Criterion = keyof typeof CRITERIA;
type Scored<K extends 'weights' | 'structures'> = {
  [C in Criterion]: (typeof CRITERIA)[C][K] extends null ? never : C;
}[Criterion];
/** The criteria that score single weights. */
export type WeightCriterion = Scored<'weights'>;
/** The criteria that score structures. */
export type StructureCriterion = Scored<'structures'>;

export const CRITERION_NAMES = Object.keys(CRITERIA) as [Criterion, ...Criterion[]];

/** How a criterion scores; null where it does not score such components. */
export function scoringOf(criterion: Criterion, kind: 'weights' | 'structures'): Scoring | null {
  return CRITERIA[criterion][kind];
}
