/**
 * `npm run reproduce [-- path/to/fixtures]`: repeats what this machine can of the paper's experiments and writes `docs/reproduction.md`.
 * Without the fixtures only FC2 is there, from `examples/`: the document is then printed and the file left as it is.
 */
import { writeFile } from 'node:fs/promises';
import { sharedFixtures } from '../test/shared.ts';
import { formatResults } from './reproduce/document.ts';
import { type Findings, runAll, runProtocol } from './reproduce/experiments.ts';
import { formatIntroduction } from './reproduce/introduction.ts';
import { openExample, openFixture } from './reproduce/network.ts';

const DOCUMENT = new URL('../docs/reproduction.md', import.meta.url);
const NETWORKS = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny'];

const fixtures = process.argv[2] ?? sharedFixtures();
const findings: Findings[] = [];
if (fixtures === null) {
  console.error(
    'no fixtures: name their folder to repeat more than FC2 (npm run reproduce -- path/to/fixtures)',
  );
  findings.push(await runAll(await openExample(), console.error));
} else {
  for (const name of NETWORKS) findings.push(await runAll(await openFixture(fixtures, name), console.error));
}
const llama = findings.find(({ network }) => network.name === 'llama-tiny');
const protocol = llama ? await runProtocol(llama, console.error) : null;
const document = `${formatIntroduction(findings[0].global)}\n${formatResults(findings, protocol)}`;
if (fixtures === null) console.log(document);
else await writeFile(DOCUMENT, document);
