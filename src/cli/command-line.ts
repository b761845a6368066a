import { Command, CommanderError, type OptionValues } from 'commander';
import { z } from 'zod';
import { searchShape } from '../recipe/lines.ts';
import { recipeSchema } from '../recipe/recipe.ts';
import { GRANULARITY_NAMES } from '../recipe/terms.ts';
import { ApiClient, type Service } from './api-client.ts';
import { apply } from './apply-verb.ts';
import { compare } from './compare-verb.ts';
import { demo } from './demo-verb.ts';
import { find } from './find-verb.ts';
import { type Flag, fieldsOf, flagsOf } from './flags.ts';
import { inspect } from './inspect-verb.ts';
import { addKeyCommands } from './keys-verb.ts';
import { modelFiles } from './model-files.ts';
import { prune } from './prune-verb.ts';
import { EXIT, Refusal } from './refusal.ts';
import type { Run, Terminal } from './run.ts';
import { threshold } from './threshold-verb.ts';
import { verify } from './verify-verb.ts';

/** What the process lends to the command line. */
export interface Process {
  readonly version: string;
  /** What this program is called by, as a shell reads it. */
  readonly program: string;
  readonly terminal: Terminal;
  /** Aborts when the process is to end. */
  readonly signal: AbortSignal;
  readonly resources: AsyncDisposableStack;
  /** A server, or without one this process. */
  openService(server: string | undefined): Promise<Service & AsyncDisposable>;
  /** Runs a role of the service until the signal aborts. */
  serve(role: string): Promise<never>;
}

const CODES = `
Exit codes:
  0  done, and the promise, where there is one, is kept
  1  a fault: of the disk, of the server, of this program
  2  bad input: an argument, the model, the data
  3  the promise is not kept, or what is verified differs
  A signal ends it with 128 and its number, and leaves nothing behind.`;

const ENVIRONMENT = `
Environment:
  EMP_API_KEY      a key or token, sent to the server of --server
  WORKER_THREADS, JOB_TIMEOUT_SECONDS, JOB_MEMORY_MIB, EXECUTION_PROVIDERS
                   as of the service, for what is computed here
  TMPDIR           where files lie meanwhile`;

const ONE_MODEL = 'an ONNX or safetensors file, or a folder of a model or of a result of emp';
const MODEL_TEXT = `${ONE_MODEL}; several files are one model`;

const FIND_FLAGS = flagsOf(searchShape, ['external']);
const PRUNE_FLAGS = flagsOf(recipeSchema.shape);
const THRESHOLD_FLAGS = flagsOf({
  beta: z.number().optional().describe('Deployment knob: floor(beta * N_eff) are kept (default: 1)'),
  sign: z.enum(['abs', 'shift', 'clamp']).optional().describe('What a sign means (default: abs)'),
  include: z
    .array(z.enum(['keep_mask', 'kept_indices']))
    .min(1)
    .optional()
    .describe('What --json gives beside the figures'),
  scope: z.enum(['row']).optional().describe('Of an array of two axes: one group a row'),
});

/**
 * Runs the command line.
 * @returns the exit code
 * @throws Refusal, and what else went wrong
 */
export async function runProgram(args: readonly string[], process: Process): Promise<number> {
  let code: number = EXIT.kept;
  const program = createProgram(process, (ended) => {
    code = ended;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    // Help and versions are told by such an error too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.kept : EXIT.badInput;
    throw error;
  }
  return code;
}

function createProgram(process: Process, end: (code: number) => void): Command {
  const { terminal, signal, resources, program: called } = process;
  const program = new Command('emp')
    .description('Says how much of a model can be thrown away, and throws it away.')
    .version(process.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHasColors: () => false,
    })
    .configureHelp({ helpWidth: 100 })
    .addHelpText('after', `${CODES}\n${ENVIRONMENT}`);

  const command = (name: string, text: string) =>
    program.command(name).description(text).addHelpText('after', CODES);
  const withRun = async (given: OptionValues, act: (run: Run) => Promise<number>) => {
    const service = resources.use(await process.openService(given.server));
    end(await act({ client: new ApiClient(service, signal), terminal, resources, program: called }));
  };
  const common = (made: Command) =>
    made
      .option('--json', 'print what the API answers')
      .option('--server <url>', 'have a server do it; EMP_API_KEY is sent along');
  const written = (made: Command) =>
    common(made).option(
      '--output <folder>',
      'a new or empty folder to write to (default: a new one under emp-output/)',
    );
  const withData = (made: Command) =>
    made
      .option(
        '--data <file>',
        'samples that models are measured on: a .npz of inputs and labels, or a .npy an input',
        collect,
      )
      .option('--inputs <file>', 'the same as --data', collect)
      .option('--labels <file>', 'their labels, a .npy')
      .option('--calibration <file>', 'samples that criteria and repairs look at: .npz or .npy', collect)
      .option('--calibration-labels <file>', 'their labels, which gradient criteria need')
      .option(
        '--selection <file>',
        'samples to choose on, so that all of --data are reported: .npz or .npy',
        collect,
      )
      .option('--selection-labels <file>', 'their labels');

  withFlags(
    withData(written(command('find', 'find the smallest or fastest model within a promise'))),
    FIND_FLAGS,
  )
    .argument('<model...>', MODEL_TEXT)
    .option('--summary <file>', 'append a report in Markdown, for the summary of a CI step')
    .addHelpText('after', '\nExample:\n  emp find model.onnx --data test.npz --max-accuracy-drop 0.01')
    .action((models, given) => {
      const terms = termsOf(given);
      return withRun(given, async (run) => find(run, await modelFiles(models), { ...given, terms }));
    });

  withFlags(withData(written(command('prune', 'prune a model by one recipe'))), PRUNE_FLAGS)
    .argument('<model...>', MODEL_TEXT)
    .option(
      '--recipe <file>',
      'a recipe as JSON, or a job.json or report.json that holds one; flags go before it',
    )
    .option('--scores <file>', 'scores for criterion scores: .safetensors or .npz')
    .option('--summary <file>', 'append a report in Markdown, for the summary of a CI step')
    .addHelpText('after', '\nExample:\n  emp prune model.onnx --scope layer --beta 0.8 --data test.npz')
    .action((models, given) =>
      withRun(given, async (run) =>
        prune(run, await modelFiles(models), {
          ...given,
          recipe: fieldsOf(PRUNE_FLAGS, given),
          recipeFile: given.recipe,
        }),
      ),
    );

  common(command('inspect', "show a model's tensors, its structures, and what is frozen and why"))
    .argument('<model...>', MODEL_TEXT)
    .action((models, given) => withRun(given, async (run) => inspect(run, await modelFiles(models), given)));

  common(
    command(
      'compare',
      "hold a model that any tool has pruned against its original, and against EMP's choice",
    ),
  )
    .argument('<original>', ONE_MODEL)
    .argument('<pruned>', 'likewise')
    .option('--data <file>', 'samples that both are measured on: .npz or .npy', collect)
    .option('--inputs <file>', 'the same as --data', collect)
    .option('--labels <file>', 'their labels, a .npy')
    .action((original, pruned, given) => withRun(given, (run) => compare(run, [original, pruned], given)));

  withFlags(common(command('threshold', 'decide on a vector of scores')), THRESHOLD_FLAGS)
    .argument('<scores>', 'a .npy file')
    .action((path, given) =>
      withRun(given, (run) => threshold(run, path, { ...given, query: fieldsOf(THRESHOLD_FLAGS, given) })),
    );

  written(
    command('apply', 'prune a model by the masks of an earlier run; what repairs changed is not in them'),
  )
    .argument('<masks>', 'masks.safetensors')
    .argument('<model...>', 'the model that they were made for')
    .option('--granularity <name>', `what the masks are of: ${GRANULARITY_NAMES.join(', ')}`, 'weight')
    .action((masks, models, given) =>
      withRun(given, async (run) => apply(run, masks, await modelFiles(models), given)),
    );

  withData(common(command('verify', 'verify a folder that find or prune wrote')))
    .argument('<folder>', 'the folder')
    .argument('[model...]', 'the model that it was made of: it is made again, and compared')
    .option('--scores <file>', 'the scores that the run had')
    .action((folder, models, given) =>
      withRun(given, async (run) => verify(run, folder, await modelFiles(models), given)),
    );

  written(command('demo', 'search on a network and digits that come with the package')).action((given) =>
    withRun(given, (run) => demo(run, given)),
  );

  addKeyCommands(program, terminal);
  for (const [name, role, text] of ROLES) command(name, text).action(() => process.serve(role));
  return program;
}

const ROLES = [
  ['serve', 'all', 'serve the API and compute, in one process; settings are of the environment'],
  ['api', 'api', 'serve the API; needs REDIS_URL or DATABASE_URL'],
  ['worker', 'worker', 'compute for the API; needs REDIS_URL or DATABASE_URL'],
] as const;

function withFlags(command: Command, flags: readonly Flag[]): Command {
  for (const { option } of flags) command.addOption(option);
  return command;
}

/** @throws Refusal where nothing is promised */
function termsOf(given: OptionValues): Record<string, unknown> {
  const terms = fieldsOf(FIND_FLAGS, given);
  if (terms.promise) return terms;
  const promises = FIND_FLAGS.filter(
    ({ path: [field, name] }) => field === 'promise' && name !== 'confidence',
  );
  const names = promises.map(({ option }) => option.long).join(', ');
  throw new Refusal(EXIT.badInput, `say what the model may cost: give one of ${names}`);
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
