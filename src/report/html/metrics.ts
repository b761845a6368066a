import { lossName } from '../cost.ts';
import type { Evaluation } from '../report.ts';
import { formatChange, formatNumber, formatPercent, formatPoints, formatRelativeChange } from './format.ts';
import { capitalized } from './nouns.ts';

type MetricName = 'loss' | 'accuracy' | 'perplexity' | 'relative_l2' | 'cosine' | 'top1_agreement';

export type Metrics = Readonly<Record<MetricName, number | null>>;

export interface Metric {
  readonly name: MetricName;
  readonly title: string;
  readonly format: (value: number) => string;
  /** The difference to the dense model in one line or several, the last the one to quote alone; null where the metric is a difference. */
  readonly compare: ((value: number, dense: number, standardError: number | null) => string[]) | null;
}

const METRICS: readonly Metric[] = [
  {
    name: 'loss',
    title: 'Loss',
    format: (value) => formatNumber(value),
    compare(value, dense, standardError) {
      const absolute = formatChange(value - dense, standardError);
      return dense > 0 ? [absolute, formatRelativeChange(value, dense)] : [absolute];
    },
  },
  {
    name: 'accuracy',
    title: 'Accuracy',
    format: formatAccuracy,
    compare: (value, dense, standardError) => [formatPoints(value - dense, standardError)],
  },
  {
    name: 'perplexity',
    title: 'Perplexity',
    format: (value) => formatNumber(value),
    compare: (value, dense) => [formatRelativeChange(value, dense)],
  },
  { name: 'relative_l2', title: 'Relative L2 drift', format: formatPercent, compare: null },
  { name: 'cosine', title: 'Cosine', format: formatCosine, compare: null },
  { name: 'top1_agreement', title: 'Top-1 agreement', format: formatPercent, compare: null },
];

/** Those that were measured, in an order that does not depend on the report's. */
export function measuredMetrics(evaluation: Evaluation): Metric[] {
  return METRICS.filter(({ name }) => evaluation.metric_names.includes(name)).map((metric) =>
    metric.name === 'loss' ? { ...metric, title: capitalized(lossName(evaluation)) } : metric,
  );
}

/** The one or two that say most: loss and accuracy, or drift and agreement. */
export function mainMetrics(evaluation: Evaluation): Metric[] {
  return measuredMetrics(evaluation).filter(({ name }) => name !== 'perplexity' && name !== 'cosine');
}

/** The figure of a model that was measured: null means that it was not finite. */
export function formatFigure({ format }: Metric, value: number | null): string {
  return value === null ? 'not finite' : format(value);
}

/** Two decimals: a hundredth of a point is one of ten thousand samples. */
function formatAccuracy(share: number): string {
  return `${(100 * share).toFixed(2)}\u00a0%`;
}

/** Only what is the same has cosine 1. */
function formatCosine(cosine: number): string {
  return cosine < 1 ? Math.min(cosine, 0.9999).toFixed(4) : '1';
}
