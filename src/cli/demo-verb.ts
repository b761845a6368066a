import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { find } from './find-verb.ts';
import { openOutputFolder } from './output-folder.ts';
import type { ExitCode } from './refusal.ts';
import type { CommonFlags, Run } from './run.ts';

/** Of the repository, and of the package. */
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const PARENT = 'demo-output';
/** What the network's loss may rise by. */
const MAX_LOSS_INCREASE = 0.05;

/** Searches on the network and the digits that come with the package. */
export async function demo(run: Run, flags: CommonFlags): Promise<ExitCode> {
  const { terminal, resources } = run;
  const model = join(EXAMPLES, 'fc2-mnist.onnx');
  const file = (name: string) => join(EXAMPLES, 'mnist', name);
  const output = resources.use(await openOutputFolder(flags.output, model, PARENT));
  const terms = { promise: { max_loss_increase: MAX_LOSS_INCREASE } };
  if (!flags.json)
    terminal.stdout.write(
      `How small does a network of 79,510 parameters get that reads digits, where its loss may rise by ${100 * MAX_LOSS_INCREASE} %?\n\n`,
    );
  const code = await find(run, [model], {
    ...flags,
    ...{ terms, front: true, output: output.path },
    data: [file('evaluation_inputs.npy')],
    labels: file('evaluation_labels.npy'),
    calibration: [file('calibration_inputs.npy')],
  });
  output.keep();
  return code;
}
