import assert from 'node:assert/strict';

/** A metric as a scrape has it. */
export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  /** By name and labels, as they stand in the text. */
  readonly series: Map<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`);
const PARTS = { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'] } as const;

/** Reads a scrape as Prometheus' text format 0.0.4 has it, and refuses all that is not in order: it is what `promtool check metrics` looks at. */
export function parseMetrics(text: string): Map<string, Metric> {
  assert.ok(text.endsWith('\n'), 'the last line does not end');
  const metrics = new Map<string, Metric>();
  let current: { name: string; help: string } | undefined;
  let open: string | undefined;
  for (const line of text.split('\n').filter(Boolean)) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      assert.ok(!metrics.has(name), `${name} is there twice`);
      current = { name, help: rest };
    } else if (kind === 'TYPE') {
      assert.equal(current?.name, name, `${name} has no HELP before its TYPE`);
      assert.match(rest, /^(counter|gauge|histogram|summary)$/);
      metrics.set(name, { type: rest as Metric['type'], help: current?.help ?? '', series: new Map() });
      open = name;
    } else {
      const [, sample = '', labels = '', value = ''] = SAMPLE.exec(line) ?? assert.fail(line);
      const metric = metrics.get(open ?? '') ?? assert.fail(`${line}: no TYPE before it`);
      const suffixes: readonly string[] = PARTS[metric.type as 'histogram'] ?? [''];
      assert.ok(
        suffixes.some((suffix) => sample === open + suffix),
        `${sample} stands under ${open}`,
      );
      const names = [...labels.matchAll(/([a-zA-Z_]\w*)="/g)].map(([, label]) => label);
      assert.equal(new Set(names).size, names.length, `${line}: a label twice`);
      const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value);
      // Prometheus reads it in any case.
      assert.ok(!Number.isNaN(number) || /^nan$/i.test(value), line);
      const series = `${sample}{${labels}}`;
      assert.ok(!metric.series.has(series), `${series} is there twice`);
      metric.series.set(series, number);
    }
  }
  for (const [name, metric] of metrics) checkMetric(name, metric);
  return metrics;
}

function checkMetric(name: string, { type, help, series }: Metric): void {
  assert.ok(help.length > 0, name);
  assert.equal(/_total$/.test(name), type === 'counter', `${name} is a ${type}`);
  if (type === 'counter') for (const value of series.values()) assert.ok(value >= 0, name);
  if (type === 'histogram') checkHistogram(name, series);
}

/** Buckets count upwards, the last is that of all, and there are a sum and a count. */
function checkHistogram(name: string, series: ReadonlyMap<string, number>): void {
  const last = new Map<string, { bound: number; count: number }>();
  for (const [key, count] of series) {
    const [, before = '', bound = '', after = ''] = /_bucket\{(.*?)le="([^"]*)",?(.*)\}$/.exec(key) ?? [];
    if (bound === '') continue;
    const labels = [before, after].join('').replace(/,$/, '');
    const upTo = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
    const earlier = last.get(labels) ?? { bound: Number.NEGATIVE_INFINITY, count: 0 };
    assert.ok(upTo > earlier.bound && count >= earlier.count, key);
    last.set(labels, { bound: upTo, count });
  }
  for (const [labels, { bound, count }] of last) {
    assert.equal(bound, Number.POSITIVE_INFINITY, `${name}{${labels}} does not end with +Inf`);
    assert.equal(series.get(`${name}_count{${labels}}`), count, `${name}{${labels}}`);
    assert.ok(series.has(`${name}_sum{${labels}}`), `${name}{${labels}} has no sum`);
  }
}
