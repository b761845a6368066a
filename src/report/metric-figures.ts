import { METRICS, type MetricName } from '../recipe/terms.ts';
import { lossName, type Metrics } from './cost.ts';
import type { Evaluation } from './report.ts';
import {
  capitalized,
  cosine,
  formatAccuracy,
  formatChange,
  formatNumber,
  formatPercent,
  formatPoints,
  formatRelativeChange,
} from './wording.ts';

export interface Metric {
  readonly name: MetricName;
  readonly title: string;
  readonly format: (value: number) => string;
  /** The difference to the dense model in one line or several, the last the one to quote alone; null where the metric is a difference. */
  readonly compare: ((value: number, dense: number, standardError: number | null) => string[]) | null;
}

/** In the order of the page's columns. */
const FIGURES: Readonly<Record<MetricName, Pick<Metric, 'format' | 'compare'>>> = {
  loss: {
    format: (value) => formatNumber(value),
    compare(value, dense, standardError) {
      const absolute = formatChange(value - dense, standardError);
      return dense > 0 ? [absolute, formatRelativeChange(value, dense)] : [absolute];
    },
  },
  accuracy: {
    format: formatAccuracy,
    compare: (value, dense, standardError) => [formatPoints(value - dense, standardError)],
  },
  perplexity: {
    format: (value) => formatNumber(value),
    compare: (value, dense) => [formatRelativeChange(value, dense)],
  },
  relative_l2: { format: formatPercent, compare: null },
  cosine: { format: cosine, compare: null },
  top1_agreement: { format: formatPercent, compare: null },
  kl: { format: (value) => formatNumber(value), compare: null },
  cosine_distance: { format: (value) => formatNumber(value), compare: null },
};

/** Those that were measured, in an order that does not depend on the report's. */
export function measuredMetrics(evaluation: Evaluation): Metric[] {
  const names = Object.keys(FIGURES) as MetricName[];
  return names
    .filter((name) => evaluation.metric_names.includes(name))
    .map((name) => metricOf(name, evaluation));
}

export function metricOf(name: MetricName, evaluation: Pick<Evaluation, 'loss_kind'>): Metric {
  const title = name === 'loss' ? capitalized(lossName(evaluation)) : METRICS[name].title;
  return { name, title, ...FIGURES[name] };
}

/** The one or two that say most: loss and accuracy, or drift and agreement. */
export function mainMetrics(evaluation: Evaluation): Metric[] {
  return measuredMetrics(evaluation).filter(({ name }) => name !== 'perplexity' && name !== 'cosine');
}

/** The figure of a model that was measured: null means that it was not finite. */
export function formatFigure({ name, format }: Metric, model: Metrics): string {
  const value = model[name];
  return value === null ? 'not finite' : format(value);
}
