import { useEffect, useState } from 'preact/hooks';
import type { Report } from '../report/report.ts';
import { bytes, count, ERRORS, formatAccuracy, formatNumber, percent, times } from '../report/wording.ts';
import { read } from './api-requests.ts';
import type { Job, Model, Recipe, Search } from './api-types.ts';
import { layersOf } from './architecture-strip.tsx';
import { Refusal } from './drop-zone.tsx';
import { hrefOf, route } from './page-route.ts';
import { PagedTable, ScrollTable } from './paged-table.tsx';
import { describeField, describeRecipe } from './recipe-words.ts';

const MOST = 4;
/** Fields of a recipe that a column is known by. */
const TELLING = ['criterion', 'granularity', 'scope', 'repair', 'target', 'beta'];

interface Compared {
  readonly id: string;
  readonly href: string;
  readonly model: string;
  /** Null of a search without a best model. */
  readonly job: Job | null;
  readonly report: Report | null;
}

/** Two to four models side by side: figures, what differs in their recipes, and layers. */
export function CompareScreen() {
  const ids = (route.value.query.get('ids') ?? '').split(',').filter(Boolean).slice(0, MOST);
  const [compared, setCompared] = useState<readonly Compared[] | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const key = ids.join(',');
  useEffect(() => {
    const gone = new AbortController();
    setCompared(null);
    setError(null);
    Promise.all(ids.map((id) => load(id, gone.signal))).then(setCompared, (failure) => {
      if (!gone.signal.aborted) setError(failure);
    });
    return () => gone.abort();
  }, [key]);
  return (
    <>
      <h1>Side by side</h1>
      {ids.length < 2 && (
        <p>
          Tick two to four in <a href={hrefOf('/list')}>the list</a>.
        </p>
      )}
      {error && <Refusal error={error} />}
      {ids.length >= 2 && !compared && !error && <p class="muted">Loading…</p>}
      {compared && new Set(compared.map(({ model }) => model)).size === 1 && (
        <p class="lead">{compared[0].model}</p>
      )}
      {compared && compared.length >= 2 && <Columns compared={compared} />}
    </>
  );
}

async function load(id: string, signal: AbortSignal): Promise<Compared> {
  const isSearch = id.startsWith('sea_');
  const search = isSearch ? await read<Search>(`/v1/searches/${id}`, signal) : null;
  const job = search ? (search.best?.job ?? null) : await read<Job>(`/v1/jobs/${id}`, signal);
  const modelId = search?.model_id ?? job?.model_id ?? '';
  const model = await read<Model>(`/v1/models/${modelId}`, signal).catch(() => null);
  const hasReport = job?.status === 'succeeded' && job.artifacts.some(({ name }) => name === 'report.json');
  const report = hasReport ? await read<Report>(`/v1/jobs/${job.id}/report`, signal) : null;
  return {
    id,
    href: hrefOf(`/${isSearch ? 'searches' : 'jobs'}/${id}`),
    model: model?.name ?? modelId,
    job,
    report,
  };
}

function Columns({ compared }: { compared: readonly Compared[] }) {
  const heads = headsOf(compared);
  const [isWhole, setIsWhole] = useState(false);
  const fields = recipeFields(compared).filter(({ differs }) => isWhole || differs);
  const layers = layersSideBySide(compared);
  return (
    <>
      <section class="side-by-side" aria-labelledby="figures">
        <h2 id="figures">Figures</h2>
        <ScrollTable caption="Figures side by side" columns={['Figure', ...heads]}>
          <tr>
            <th scope="row" class="term">
              What it was
            </th>
            {compared.map(({ id, href, job }) => (
              <td key={id}>
                <a href={href}>{job ? describeRecipe(job.recipe) : 'nothing within the promise'}</a>
              </td>
            ))}
          </tr>
          {FIGURES.map(({ title, show }) => {
            const shown = compared.map(({ job, report }) => job?.summary && show(job.summary, report));
            if (shown.every((text) => text == null)) return null;
            return (
              <tr key={title}>
                <th scope="row" class="term">
                  {title}
                </th>
                {shown.map((text, i) => (
                  <td key={compared[i].id}>{text ?? '–'}</td>
                ))}
              </tr>
            );
          })}
        </ScrollTable>
      </section>
      <section class="side-by-side" aria-labelledby="recipes">
        <h2 id="recipes">Recipes</h2>
        {fields.length === 0 ? (
          <p>The recipes are the same.</p>
        ) : (
          <ScrollTable caption="Recipes side by side" columns={['Field', ...heads]}>
            {fields.map(({ name, values, differs }) => (
              <tr key={name} class={differs ? 'differs' : ''}>
                <th scope="row" class="term">
                  {name}
                </th>
                {values.map((value, i) => (
                  <td key={compared[i].id}>{value}</td>
                ))}
              </tr>
            ))}
          </ScrollTable>
        )}
        <p>
          <button type="button" class="link" aria-expanded={isWhole} onClick={() => setIsWhole(!isWhole)}>
            {isWhole ? 'Show only what differs' : 'Show all fields'}
          </button>
        </p>
      </section>
      {layers.length > 0 && (
        <section class="side-by-side" aria-labelledby="layers">
          <h2 id="layers">Layers</h2>
          <PagedTable
            caption="What stays of each layer, side by side"
            columns={['Layer', ...heads]}
            rows={layers}
            noun="layers"
            keyOf={({ name }) => name}
            cells={({ name, shares }) => [
              name,
              ...shares.map((share, i) =>
                share === null ? (
                  '–'
                ) : (
                  <>
                    <meter min={0} max={1} value={share} aria-label={`${name} stays in ${heads[i]}`} />{' '}
                    {percent(share)}
                  </>
                ),
              ),
            ]}
          />
        </section>
      )}
    </>
  );
}

type Summary = NonNullable<Job['summary']>;

const FIGURES: readonly {
  readonly title: string;
  readonly show: (summary: Summary, report: Report | null) => string | null;
}[] = [
  {
    title: 'Download',
    show: ({ pruned_zstd_bytes: pruned, dense_zstd_bytes: dense }) =>
      pruned && dense ? `${bytes(pruned)}, ${times(dense, pruned)} × smaller` : null,
  },
  { title: 'On disk', show: ({ pruned_bytes }) => (pruned_bytes ? bytes(pruned_bytes) : null) },
  { title: 'Gone', show: ({ sparsity }) => percent(sparsity) },
  { title: 'Multiplications', show: ({ pruned_macs }) => (pruned_macs ? count(pruned_macs) : null) },
  {
    title: 'Accuracy',
    show: ({ accuracy, dense_accuracy }) =>
      accuracy != null && dense_accuracy != null
        ? `${formatAccuracy(accuracy)}, was ${formatAccuracy(dense_accuracy)}`
        : null,
  },
  {
    title: 'Loss',
    show: ({ loss, dense_loss }, report) => {
      if (loss == null) return null;
      const error = report?.evaluation?.pruned.loss_increase_standard_error;
      return `${formatNumber(loss)}${error == null ? '' : ` ± ${formatNumber(ERRORS * error, 2)}`}${dense_loss == null ? '' : `, was ${formatNumber(dense_loss)}`}`;
    },
  },
  {
    title: 'Same answers',
    show: ({ top1_agreement }) => (top1_agreement == null ? null : percent(top1_agreement)),
  },
  { title: 'Outputs moved', show: ({ relative_l2 }) => (relative_l2 == null ? null : percent(relative_l2)) },
  {
    title: 'Speed',
    show: ({ speedup }, report) => {
      if (report?.structures === null) return 'same: zeros in place';
      return speedup == null ? null : `${speedup.toFixed(2)} ×`;
    },
  },
  {
    title: 'Promise',
    show: ({ met }) => (met == null ? null : met ? 'kept' : 'missed'),
  },
];

function recipeFields(compared: readonly Compared[]) {
  const recipes = compared.map(({ job }) => (job?.recipe ?? {}) as Recipe);
  const names = [...new Set(recipes.flatMap((recipe) => Object.keys(recipe)))];
  return names.map((name) => {
    const values = recipes.map((recipe) => describeField(recipe[name]));
    return { name, values, differs: new Set(values).size > 1 };
  });
}

/** What each column is, told from the others: its number, and of model, recipe and amount what differs. */
function headsOf(compared: readonly Compared[]): string[] {
  const telling = recipeFields(compared).filter(({ name, differs }) => differs && TELLING.includes(name));
  const areModels = new Set(compared.map(({ model }) => model)).size > 1;
  return compared.map(({ model, job }, i) => {
    const recipe = telling.map(({ name, values }) =>
      name === 'criterion' ? values[i] : `${name}\u00a0${values[i]}`,
    );
    const gone = job?.summary ? `${percent(job.summary.sparsity)} gone` : 'no model';
    return [i + 1, ...(areModels ? [model] : []), ...(telling.length > 0 ? recipe : [gone])].join('\u00a0· ');
  });
}

function layersSideBySide(compared: readonly Compared[]) {
  const columns = compared.map(
    ({ report }) =>
      new Map(report ? layersOf(report).map(({ name, n, kept }) => [name, n > 0 ? kept / n : 0]) : []),
  );
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  return names.map((name) => ({ name, shares: columns.map((column) => column.get(name) ?? null) }));
}
