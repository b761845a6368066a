import { useEffect, useState } from 'preact/hooks';
import { bytes, count, formatNumber, percent } from '../report/wording.ts';
import { read } from './api-requests.ts';
import type { EffectiveSizes, Model } from './api-types.ts';
import { PagedTable } from './paged-table.tsx';

/** What a model is made of, and what magnitudes alone say of it before any job. */
export function Inventory({ model }: { model: Model }) {
  const [sizes, setSizes] = useState<EffectiveSizes | null>(null);
  useEffect(() => {
    const gone = new AbortController();
    // What cannot be told of this model is left out.
    read<EffectiveSizes>(`/v1/models/${model.id}/n-eff`, gone.signal).then(setSizes, () => {});
    return () => gone.abort();
  }, [model.id]);
  const { tensors } = model;
  const prunable = tensors.filter((tensor) => tensor.prunable);
  const weights = prunable.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const bySize = new Map(sizes?.data.map((size) => [size.name, size]));
  const total = sizes?.total;
  const columns = ['Tensor', 'Shape', 'Type', 'Elements', ...(sizes ? ['N_eff', 'Would stay'] : [])];
  return (
    <section aria-labelledby="inventory">
      <h2 id="inventory">What is in it</h2>
      <dl class="figures">
        <Figure
          term="Parameters"
          value={count(model.n_parameters)}
          note={`${count(tensors.length)} tensors`}
        />
        <Figure
          term="Weights that can go"
          value={percent(model.n_parameters > 0 ? weights / model.n_parameters : 0)}
          note={`${count(prunable.length)} tensors`}
        />
        {total && (
          <Figure
            term="N_eff says"
            value={`${percent(total.density)} stay`}
            note={`${count(total.n_keep)} of ${count(total.n)} weights, by magnitude alone`}
          />
        )}
        <Figure
          term="On disk"
          value={bytes(model.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0))}
          note={model.format === 'onnx' ? 'ONNX' : 'safetensors'}
        />
        {model.n_macs != null && (
          <Figure term="Multiplications" value={formatNumber(model.n_macs)} note="for one sample" />
        )}
      </dl>
      <details>
        <summary>Tensor by tensor</summary>
        <PagedTable
          caption={`Tensors of ${model.name}`}
          columns={columns}
          rows={tensors}
          noun="tensors"
          keyOf={({ name }) => name}
          cells={({ name, shape, dtype, prunable }) => {
            const size = bySize.get(name);
            return [
              name,
              shape.join(' × ') || 'scalar',
              dtype,
              count(sizeOf(shape)),
              ...(sizes
                ? [
                    size?.n_eff == null ? '–' : formatNumber(size.n_eff),
                    size ? percent(size.density) : prunable ? '–' : 'all',
                  ]
                : []),
            ];
          }}
        />
      </details>
    </section>
  );
}

/** One of the figures that are read at a glance. */
export function Figure({ term, value, note }: { term: string; value: string; note?: string | undefined }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>
        {value}
        {note !== undefined && <small>{note}</small>}
      </dd>
    </div>
  );
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
