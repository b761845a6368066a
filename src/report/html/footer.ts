import type { Noun } from '../../recipe/terms.ts';
import type { Report } from '../report.ts';
import { formatBytes } from './format.ts';
import { html, type Markup } from './markup.ts';
import { nounsOf } from './nouns.ts';

/** How to read the figures, and what exactly they are of. */
export function footer(report: Report): Markup {
  const { model, artifacts, environment, structures } = report;
  const { unit } = nounsOf(report);
  const { version, onnxruntime, execution_provider } = environment;
  return html`<footer>
<section aria-labelledby="reading">
<h2 id="reading">How to read this</h2>
<p><strong>N_eff</strong>, the effective number of scores, is (sum of scores)² / (sum of squared scores): all N where the scores are equal, 1 where one of them is everything. EMP keeps floor(<strong>beta</strong> × N_eff) of the highest scores; beta 1 is its own answer, a smaller beta keeps fewer.${
    structures === null
      ? null
      : ' A family then keeps as many more of its own as rounding asks for, and one at least.'
  }</p>
<p><strong>Mass</strong> is a ${unit.one}’s share of the sum of all scores. The <strong>bound</strong> is the least mass that so many kept ${unit.many} can hold, given N and N_eff, whatever the scores. Mass is not accuracy: what the model loses is only known where it was measured.</p>
${structures === null ? null : structuresNote(unit)}</section>
<section aria-labelledby="provenance">
<h2 id="provenance">Provenance</h2>
<dl class="provenance">
${entry('Model', html`<bdi>${model.name}</bdi>, ${model.format}, ${formatBytes(model.size_bytes)}`, model.sha256)}
${artifacts.map(({ name, sha256 }) => entry('Written', html`<bdi>${name}</bdi>`, sha256))}
${entry('Software', software(version, onnxruntime, execution_provider), null)}
</dl>
</section>
</footer>`;
}

function structuresNote({ one, many }: Noun): Markup {
  return html`<p>A <strong>family</strong> is all ${many} that lie along the same axes of the same weights. A ${one} goes with all that hangs on it, in every weight. An axis is <strong>frozen</strong> where the model could not run, or would not compute the same, without some of its positions.</p>
`;
}

function entry(term: string, description: Markup | string, sha256: string | null): Markup {
  return html`<div><dt>${term}</dt><dd>${description}${
    sha256 === null ? null : html`<br><code>sha256 ${sha256}</code>`
  }</dd></div>
`;
}

function software(version: string, onnxruntime: string | null, provider: string | null): string {
  const runtime = onnxruntime === null ? '' : `, onnxruntime ${onnxruntime}`;
  return `effective-model-pruning ${version}${runtime}${provider === null ? '' : ` (${provider})`}`;
}
