import { ORIGIN_DATA } from '../origin.ts';
import { repeatCalls } from '../repeat-calls.ts';
import type { Report } from '../report.ts';
import { capitalized, formatBytes } from '../wording.ts';
import { entry, html, type Markup } from './markup.ts';

/** What exactly the figures are of: hashes, ids, dates, software. */
export function provenance({ model, artifacts, environment, origin }: Report): Markup {
  const { version, onnxruntime, execution_provider } = environment;
  const runtime = onnxruntime === null ? '' : `, onnxruntime ${onnxruntime}`;
  const provider = execution_provider === null ? '' : ` (${execution_provider})`;
  const hash = (sha256: string) => html`<br><code>sha256 ${sha256}</code>`;
  const data = ORIGIN_DATA.map((name) => {
    const given = origin?.[name] ?? null;
    return entry(
      `${capitalized(name)} data`,
      given && html`<code>${given.dataset_id}</code>${hash(given.sha256)}`,
    );
  });
  return html`<dl class="provenance">
${entry('Job', origin && html`<code>${origin.job_id}</code>, asked for at <time datetime="${origin.created_at}">${origin.created_at}</time>`)}
${entry('Model', html`<bdi>${model.name}</bdi>, ${model.format}, ${formatBytes(model.size_bytes)}${origin && html`, <code>${origin.model_id}</code>`}${hash(model.sha256)}`)}
${data}
${artifacts.map(({ name, sha256 }) => entry('Written', html`<bdi>${name}</bdi>${hash(sha256)}`))}
${entry('Software', `effective-model-pruning ${version}${runtime}${provider}`)}
</dl>`;
}

export function recipeCode({ recipe }: Report): Markup {
  return html`<pre tabindex="0"><code>${JSON.stringify(recipe, null, 2)}</code></pre>`;
}

export function repeatCode(report: Report): Markup {
  return html`<pre tabindex="0"><code>${repeatCalls(report)}</code></pre>`;
}
