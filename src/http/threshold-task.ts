import type { FloatDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import { decide, decideRows } from '../core/threshold.ts';
import type { ThresholdOptions } from './schemas.ts';
import { parseJsonScores, parseNpyScores, rawScores, type ScoreInput } from './score-input.ts';
import {
  figuresOf,
  groupsJson,
  joinKeepMasks,
  type NamedDecision,
  totalOf,
  vectorJson,
} from './threshold-response.ts';

/** How a body is to be read; JSON holds its options itself. */
export type ScoreForm =
  | { readonly kind: 'json' }
  | { readonly kind: 'raw'; readonly dtype: FloatDtype; readonly options: ThresholdOptions }
  | { readonly kind: 'npy'; readonly byRow: boolean; readonly options: ThresholdOptions };

/** One request for a decision, as plain data that a thread may be handed. */
export interface ThresholdTask {
  readonly form: ScoreForm;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly answer: 'json' | 'keep-mask';
}

export interface ThresholdAnswer {
  /** JSON, or the bytes of a keep mask. */
  readonly body: string | Uint8Array<ArrayBuffer>;
  /** Beside a keep mask: the figures as JSON. */
  readonly summary: string | null;
}

/**
 * From the bytes of a request to those of its answer.
 * @throws EmpError for a body that cannot be read or decided on
 */
export async function answerThreshold({ form, body, answer }: ThresholdTask): Promise<ThresholdAnswer> {
  const { input, options } = readScores(form, body);
  if (answer === 'keep-mask' && input.kind === 'groups') {
    throw new EmpError(
      'not_acceptable',
      'the masks of named groups come as JSON; one vector or the rows of a matrix as an octet-stream',
      [{ path: 'Accept', message: 'must allow application/json for named groups' }],
    );
  }
  const decisions = await decideEach(input, options);
  const [only] = decisions;
  const isVector = input.kind === 'vector';
  if (answer === 'json') {
    const json = isVector ? vectorJson(only, options.include) : groupsJson(decisions, options.include);
    return { body: json, summary: null };
  }
  const figures = isVector ? figuresOf(only) : { total: totalOf(decisions) };
  return { body: joinKeepMasks(decisions), summary: JSON.stringify(figures) };
}

function readScores(form: ScoreForm, body: Uint8Array): { input: ScoreInput; options: ThresholdOptions } {
  if (form.kind === 'json') return parseJsonScores(body);
  const { options } = form;
  if (form.kind === 'npy') return { input: parseNpyScores(body, form.byRow), options };
  return { input: rawScores(body, form.dtype), options };
}

async function decideEach(input: ScoreInput, options: ThresholdOptions): Promise<NamedDecision[]> {
  if (input.kind === 'vector') return [{ name: '', ...(await decide(input.scores, options)) }];
  if (input.kind === 'rows') {
    const rows = await decideRows(input.scores, input.rows, options);
    return rows.map((decision, row) => ({ name: String(row), ...decision }));
  }
  const decisions: NamedDecision[] = [];
  for (const { name, scores } of input.groups) {
    decisions.push({ name, ...(await decide(scores, { ...options, group: name })) });
  }
  return decisions;
}
