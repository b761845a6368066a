import { bytes, count } from '../report/wording.ts';
import type { ApiClient } from './api-client.ts';
import { requireFiles, uploadModel } from './given-data.ts';
import { EXIT, type ExitCode } from './refusal.ts';
import { table } from './result-words.ts';
import type { Run } from './run.ts';

interface ModelView {
  readonly format: string;
  readonly name: string;
  readonly size_bytes: number;
  readonly n_parameters: number;
  readonly n_macs: number | null;
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly role: string;
    readonly prunable: boolean;
    readonly macs?: number | null;
  }[];
}

interface StructuresView {
  readonly families: readonly {
    readonly name: string;
    readonly kind: string;
    readonly n: number;
    readonly producers: readonly string[];
    readonly consumers: readonly string[];
  }[];
  readonly frozen: readonly { readonly tensor: string; readonly axis: number; readonly reason: string }[];
  readonly n_frozen: number;
}

/** Shows what can be pruned of a model: its tensors, its structures, and what is frozen and why. */
export async function inspect(
  { client, terminal }: Run,
  models: readonly string[],
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  await requireFiles(models);
  const id = await uploadModel(client, models);
  const model = await client.get<ModelView>(`/v1/models/${id}`);
  const structures = model.format === 'onnx' ? await structuresOf(client, id) : null;
  const text = json ? `${JSON.stringify({ ...model, structures }, null, 2)}\n` : words(model, structures);
  terminal.stdout.write(text);
  return EXIT.kept;
}

function structuresOf(client: ApiClient, id: string): Promise<StructuresView> {
  return client.get<StructuresView>(`/v1/models/${id}/structures`);
}

function words(model: ModelView, structures: StructuresView | null): string {
  const { name, format, size_bytes, n_parameters, n_macs, tensors } = model;
  const macs = n_macs === null ? '' : `, ${count(n_macs)} multiply-accumulates a sample`;
  const parts = [
    `${name}: ${format}, ${bytes(size_bytes)}, ${count(n_parameters)} parameters${macs}\n`,
    table([
      ['tensor', 'shape', 'dtype', 'macs', 'prunable'],
      ...tensors.map((tensor) => [
        tensor.name,
        tensor.shape.join(' x '),
        tensor.dtype,
        tensor.macs == null ? '' : count(tensor.macs),
        tensor.prunable ? 'yes' : 'no',
      ]),
    ]),
  ];
  if (structures === null) return parts.join('\n');
  const { families, frozen, n_frozen } = structures;
  if (families.length > 0)
    parts.push(
      table([
        ['structures', 'kind', 'n', 'computed by', 'read by'],
        ...families.map(({ name, kind, n, producers, consumers }) => [
          name,
          kind,
          count(n),
          producers.join(', '),
          consumers.join(', '),
        ]),
      ]),
    );
  if (n_frozen > 0)
    parts.push(
      table([
        ['frozen', 'axis', 'why'],
        ...frozen.map(({ tensor, axis, reason }) => [tensor, String(axis), reason]),
      ]),
    );
  return parts.join('\n');
}
