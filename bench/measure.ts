import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { medianOf } from '../src/core/median.ts';

/** One way of doing the work. `run` gives what is needed to check that all ways agree, or the milliseconds it measured itself. */
export interface Candidate {
  readonly name: string;
  /** Runs once; returns elapsed milliseconds. */
  measure(): Promise<number> | number;
}

/** Milliseconds that `work` takes. */
export async function time(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The value that the given share of all values does not exceed; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/**
 * Medians by name. The candidates take turns, so that a slow minute of the machine hits all of them; the first `warmUp`
 * rounds are not counted.
 */
export async function measureInterleaved(
  candidates: readonly Candidate[],
  rounds: number,
  warmUp: number,
): Promise<Map<string, number>> {
  const times = new Map<string, number[]>(candidates.map(({ name }) => [name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const candidate of candidates) {
      const elapsed = await candidate.measure();
      if (round >= 0) times.get(candidate.name)?.push(elapsed);
    }
  }
  return new Map([...times].map(([name, values]) => [name, medianOf(values)]));
}

export function formatMilliseconds(ms: number): string {
  if (ms >= 100) return ms.toFixed(0);
  return ms >= 10 ? ms.toFixed(1) : ms.toPrecision(3);
}

export function formatRatio(ratio: number): string {
  return ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2);
}

/** A Markdown table, figures right-aligned. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = header.map((_, i) => (i === 0 ? '---' : '---:'));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}

export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() || 'unknown processor';
  return (
    `${model}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `${type()} ${release().split('-')[0]}, Node ${process.versions.node}`
  );
}
