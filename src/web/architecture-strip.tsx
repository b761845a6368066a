import { useMemo, useState } from 'preact/hooks';
import type { Report } from '../report/report.ts';
import { count, counted, formatPercent } from '../report/wording.ts';
import { PagedTable } from './paged-table.tsx';

export interface LayerShare {
  readonly name: string;
  readonly n: number;
  readonly kept: number;
}

const WIDTH = 1000;
const HEIGHT = 100;
const GAP = 4;
const FAMILY = { one: 'family', many: 'families' };
const LAYER = { one: 'layer', many: 'layers' };
/** With more there is no room for gaps, nor for names. */
const FEW = 24;

/** What of each layer is left: weights, or structures of a kind where these were removed. */
export function layersOf({ structures, tensors }: Report): LayerShare[] {
  return (structures?.families ?? tensors).map(({ name, n, n_keep }) => ({ name, n, kept: n_keep }));
}

/** The network from its first layer to its last: wide where there is much, filled as far as it stays. */
export function ArchitectureStrip({ report }: { report: Report }) {
  const layers = useMemo(() => layersOf(report), [report]);
  const bars = useMemo(() => placeBars(layers), [layers]);
  const [whole, filled] = useMemo(
    () => [pathOf(bars, () => HEIGHT), pathOf(bars, ({ share }) => share * HEIGHT)],
    [bars],
  );
  const [pointed, setPointed] = useState<LayerShare | null>(null);
  if (layers.length === 0) return null;
  const kept = layers.reduce((sum, layer) => sum + layer.kept, 0) / layers.reduce((sum, { n }) => sum + n, 0);
  const { one, many } = report.structures ? FAMILY : LAYER;
  return (
    <section aria-labelledby="layers">
      <h3 id="layers">Layer by layer</h3>
      <figure>
        <svg
          class="strip"
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${counted(layers.length, { one, many })}, of which ${formatPercent(kept)} stay. The table has each.`}
          onPointerMove={(event) => {
            const { left, width } = event.currentTarget.getBoundingClientRect();
            const x = ((event.clientX - left) / width) * WIDTH;
            const i = bars.findIndex((bar) => x < bar.x + bar.width);
            setPointed(layers[i] ?? null);
          }}
          onPointerLeave={() => setPointed(null)}
        >
          <path class="whole" d={whole} />
          <path class="kept" d={filled} />
        </svg>
        <figcaption class="hint">
          {pointed
            ? `${pointed.name}: ${count(pointed.kept)} of ${count(pointed.n)} stay, ${formatPercent(pointed.kept / pointed.n)}`
            : 'From the input to the output; what is filled stays. Width grows with the size of a layer.'}
        </figcaption>
      </figure>
      <details open={layers.length <= FEW}>
        <summary>{counted(layers.length, { one, many })}</summary>
        <PagedTable
          caption={`What stays of ${many}`}
          columns={[report.structures ? 'Family' : 'Layer', 'Before', 'After', 'Stays']}
          rows={layers}
          noun={many}
          keyOf={({ name }) => name}
          cells={({ name, n, kept }) => [
            name,
            count(n),
            count(kept),
            <>
              <meter min={0} max={1} value={n > 0 ? kept / n : 0} aria-label={`${name} stays`} />{' '}
              {formatPercent(n > 0 ? kept / n : 0)}
            </>,
          ]}
        />
      </details>
    </section>
  );
}

interface Bar {
  readonly x: number;
  readonly width: number;
  readonly share: number;
}

/** All bars as one shape: thousands of elements would be slow to draw. */
function pathOf(bars: readonly Bar[], heightOf: (bar: Bar) => number): string {
  return bars
    .map((bar) => {
      const [width, height] = [bar.width.toFixed(2), heightOf(bar).toFixed(2)];
      return `M${bar.x.toFixed(2)} ${HEIGHT}v-${height}h${width}v${height}z`;
    })
    .join('');
}

/** Sizes differ by thousands: width goes with their logarithm. */
function placeBars(layers: readonly LayerShare[]): Bar[] {
  const gap = layers.length <= FEW ? GAP : 0;
  const sizes = layers.map(({ n }) => Math.log10(n + 9));
  const scale = (WIDTH - gap * (layers.length - 1)) / sizes.reduce((sum, size) => sum + size, 0);
  let x = 0;
  return layers.map(({ n, kept }, i) => {
    const bar = { x, width: sizes[i] * scale, share: n > 0 ? kept / n : 0 };
    x += bar.width + gap;
    return bar;
  });
}
