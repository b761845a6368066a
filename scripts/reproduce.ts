/**
 * `npm run reproduce [-- part ... --fixtures path]`: repeats what this machine can of the paper's experiments and writes `docs/reproduction.md`, and the tables that the README and the guide have of it.
 * Parts are `paper` (weights), `structures`, `targets`, `methods` and `searches`; without a name all of them run, else the others stay as they are.
 * Without the fixtures only FC2 is there, from `examples/`: part `paper` of it is then printed, and the files are left as they are.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sharedFixtures } from '../test/shared.ts';
import { formatResults } from './reproduce/document.ts';
import { runAll, runProtocol } from './reproduce/experiments.ts';
import { foldNetwork } from './reproduce/folded-network.ts';
import { formatIntroduction } from './reproduce/introduction.ts';
import { CLAIMED, checkMethods, FOLDED } from './reproduce/methods.ts';
import { formatMethods } from './reproduce/methods-section.ts';
import { type Network, openExample, openNetwork } from './reproduce/network.ts';
import { runOnePercent } from './reproduce/one-percent.ts';
import { formatOnePercent, formatOnePercentTable } from './reproduce/one-percent-section.ts';
import { formatPart, joinParts, PARTS, type Part, splitParts } from './reproduce/parts.ts';
import { placeTable } from './reproduce/place-table.ts';
import { rememberingRun } from './reproduce/run.ts';
import { runSearches, SEARCHED, type SearchFinding } from './reproduce/searches.ts';
import { formatSearches, formatSearchTable } from './reproduce/searches-section.ts';
import { runStructures, STRUCTURED } from './reproduce/structures.ts';
import { formatStructures } from './reproduce/structures-section.ts';
import { mapTwoAtATime } from './reproduce/two-at-a-time.ts';

const DOCUMENT = new URL('../docs/reproduction.md', import.meta.url);
const README = new URL('../README.md', import.meta.url);
const GUIDE = new URL('../docs/guide/choose-the-amount.md', import.meta.url);
const NETWORKS = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny'];

const { values, positionals } = parseArgs({
  options: { fixtures: { type: 'string' } },
  allowPositionals: true,
});
const asked = positionals.length > 0 ? positionals.map(toPart) : PARTS;
const fixtures = values.fixtures ?? sharedFixtures();
const run = rememberingRun(console.error);

if (fixtures === null) {
  console.error(
    'no fixtures: only FC2 is repeated, and no structures or targets; name their folder (npm run reproduce -- --fixtures path)',
  );
  console.log(formatPart('paper', await repeatPaper([await openExample()])));
} else {
  await writeDocument(fixtures);
}

function toPart(name: string): Part {
  const part = PARTS.find((part) => part === name);
  if (part === undefined) throw new Error(`${name} is no part of the document: expected ${PARTS.join(', ')}`);
  return part;
}

/** Part after part, each written when it is there. */
async function writeDocument(fixtures: string): Promise<void> {
  const openAll = (names: readonly string[]) => Promise.all(names.map((name) => openNetwork(fixtures, name)));
  const networks = await openAll(NETWORKS);
  const write = async (part: Part, text: string) => {
    const texts = splitParts(await readFile(DOCUMENT, 'utf8'));
    await writeFile(DOCUMENT, joinParts({ ...texts, [part]: formatPart(part, text) }));
  };
  if (asked.includes('paper')) await write('paper', await repeatPaper(networks));
  if (asked.includes('structures')) {
    const removals = await runStructures(await openAll(STRUCTURED), run);
    await write('structures', formatStructures(removals));
  }
  if (asked.includes('targets')) {
    const findings = await runOnePercent(networks, run);
    await write('targets', formatOnePercent(findings));
    const guide = await readFile(GUIDE, 'utf8');
    await writeFile(GUIDE, placeTable(guide, 'targets', formatOnePercentTable(findings)));
  }
  if (asked.includes('searches')) {
    const findings: SearchFinding[] = [];
    for await (const finding of runSearches(await openAll(Object.keys(SEARCHED)))) {
      findings.push(finding);
      console.error(`${finding.network.name}: ${JSON.stringify(finding.seconds)}`);
      await write('searches', formatSearches(findings));
      const readme = await readFile(README, 'utf8');
      await writeFile(README, placeTable(readme, 'searches', formatSearchTable(findings)));
    }
  }
  if (asked.includes('methods')) await write('methods', await repeatMethods(fixtures));
}

async function repeatMethods(fixtures: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'emp-folded-'));
  try {
    const networks = CLAIMED.map(async (name) => {
      if (!name.endsWith(FOLDED)) return await openNetwork(fixtures, name);
      return await foldNetwork(await openNetwork(fixtures, name.slice(0, -FOLDED.length)), folder);
    });
    return formatMethods(await checkMethods(await Promise.all(networks), run));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function repeatPaper(networks: readonly Network[]): Promise<string> {
  const findings = await mapTwoAtATime(networks, (network) => runAll(network, run));
  const llama = findings.find(({ network }) => network.name === 'llama-tiny');
  const protocol = llama ? await runProtocol(llama, run) : null;
  return `${formatIntroduction(findings[0].global)}\n${formatResults(findings, protocol)}`;
}
