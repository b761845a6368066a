import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { find } from './find-verb.ts';
import type { ExitCode } from './refusal.ts';
import type { CommonFlags, Run } from './run.ts';

/** Of the repository, and of the package. */
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const PARENT = 'demo-output';
/** Share of the digits by which fewer may be read rightly. */
const MAX_ACCURACY_DROP = 0.01;

/** Searches on the network and the digits that come with the package. */
export async function demo(run: Run, flags: CommonFlags): Promise<ExitCode> {
  const { terminal } = run;
  const model = join(EXAMPLES, 'fc2-mnist.onnx');
  const file = (name: string) => join(EXAMPLES, 'mnist', name);
  const terms = { promise: { max_accuracy_drop: MAX_ACCURACY_DROP } };
  if (!flags.json)
    terminal.stdout.write(
      `How small does a network of 79,510 parameters get that reads digits, where it may be wrong on ${100 * MAX_ACCURACY_DROP} % more of them?\n\n`,
    );
  return await find(run, [model], {
    ...flags,
    ...{ terms, front: true, parent: PARENT },
    data: [file('evaluation_inputs.npy')],
    labels: file('evaluation_labels.npy'),
    calibration: [file('calibration_inputs.npy')],
  });
}
