/** `npm run bench [-- core|http|keys|crowd|pipeline|evaluation|gradients|structures|repair|service|lists]`: measures, and writes what it measured to `bench/RESULTS.md`. */
import { readFile, writeFile } from 'node:fs/promises';
import { benchCore } from './core.ts';
import { benchCrowd } from './crowd.ts';
import { benchEvaluation } from './evaluation.ts';
import { benchGradients } from './gradients.ts';
import { benchHttp } from './http.ts';
import { benchKeys } from './keys.ts';
import { benchLists } from './lists.ts';
import { describeMachine } from './measure.ts';
import { benchPipeline } from './pipeline.ts';
import { benchRepair } from './repair.ts';
import { benchService } from './service.ts';
import { benchStructures } from './structures.ts';

const RESULTS = new URL('RESULTS.md', import.meta.url);
const INTRODUCTION =
  '# Results\n\nWritten by `npm run bench`. Ratios are between medians of the same run on the same machine.\n';

const SECTIONS: Readonly<Record<string, { title: string; bench(): Promise<string> }>> = {
  core: { title: 'Core: decide and mask', bench: benchCore },
  http: { title: 'HTTP: thresholds', bench: benchHttp },
  keys: { title: 'HTTP: keys', bench: benchKeys },
  crowd: { title: 'HTTP: sixteen clients at once', bench: benchCrowd },
  pipeline: { title: 'Pipeline: a gigabyte', bench: benchPipeline },
  evaluation: { title: 'Evaluation: what a sweep costs', bench: benchEvaluation },
  gradients: { title: 'Gradients: against autograd', bench: benchGradients },
  structures: { title: 'Structures: a GPT-like model', bench: benchStructures },
  repair: { title: 'Repair: a detector', bench: benchRepair },
  service: { title: 'Service: a gigabyte', bench: benchService },
  lists: { title: 'Lists: 25,000 jobs', bench: benchLists },
};

/** The sections of an earlier run by title, to keep those that are not measured now. */
async function readSections(): Promise<Map<string, string>> {
  const text = await readFile(RESULTS, 'utf8').catch(() => '');
  const parts = text.split(/^## /m).slice(1);
  return new Map(parts.map((part) => [part.slice(0, part.indexOf('\n')), part.trimEnd()]));
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SECTIONS);
const unknown = wanted.filter((name) => !(name in SECTIONS));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(SECTIONS).join(', ')}`);
  process.exit(2);
}

const sections = await readSections();
for (const name of wanted) {
  const { title, bench } = SECTIONS[name];
  console.log(`measuring ${name}`);
  const body = await bench();
  console.log(`${body}\n`);
  const date = new Date().toISOString().slice(0, 10);
  sections.set(title, `${title}\n\n${describeMachine()}; ${date}.\n\n${body}`);
  const ordered = Object.values(SECTIONS).flatMap((section) => sections.get(section.title) ?? []);
  await writeFile(RESULTS, `${INTRODUCTION}\n${ordered.map((section) => `## ${section}\n`).join('\n')}`);
}
