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
  readonly frozen: readonly {
    readonly tensor: string;
    readonly axis: number;
    /** What stands against it: a node of an operator, or an output of the model. */
    readonly node: string | null;
    readonly operator: string | null;
    /** The axis is its subject. */
    readonly reason: string;
  }[];
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
      table(
        [
          ['structures', 'kind', 'n', 'computed by', 'read by'],
          ...families.map(({ name, kind, n, producers, consumers }) => [
            ...[name, kind, count(n)],
            ...[producers.join(', '), consumers.join(', ')],
          ]),
        ],
        [0, 1, 3, 4],
      ),
    );
  if (n_frozen > 0)
    parts.push(
      table(
        [
          ['frozen', 'axis', 'cannot shrink, because this axis ...'],
          ...frozen.map((one) => [one.tensor, String(one.axis), reasonOf(one)]),
        ],
        [0, 2],
      ),
    );
  return parts.join('\n');
}

/** `is an axis of an output of the model (logits)`. */
function reasonOf({ reason, operator, node }: StructuresView['frozen'][number]): string {
  const where = [operator, node].filter((one) => one !== null).join(' ');
  return where === '' ? reason : `${reason} (${where})`;
}
