import { ORIGIN_DATA } from './origin.ts';
import type { Report } from './report.ts';
import { shellQuoted } from './wording.ts';

/** Where the service is, unless its operator says otherwise. */
const BASE_URL = 'http://127.0.0.1:3000';

/** The calls that have the same job done again, for a shell. */
export function repeatCalls({ model, recipe, origin, evaluation }: Report): string {
  const json = (value: unknown) => shellQuoted(JSON.stringify(value));
  const lines =
    origin === null
      ? [
          'curl -sS --fail-with-body "$BASE_URL/v1/jobs" \\',
          `  -F ${shellQuoted(`model=@${model.name}`)} \\`,
          ...(evaluation === null ? [] : ['  -F evaluation=@inputs.npy -F evaluation_labels=@labels.npy \\']),
          `  -F ${shellQuoted(`recipe=${JSON.stringify(recipe)}`)}`,
        ]
      : [
          `curl -sS --fail-with-body "$BASE_URL/v1/jobs" -H 'Content-Type: application/json' \\`,
          `  -d ${json(bodyOf(origin, recipe))}`,
          `curl -sS --fail-with-body "$BASE_URL/v1/jobs/${origin.job_id}/report"`,
        ];
  return [`BASE_URL=${BASE_URL}`, ...lines].join('\n');
}

function bodyOf(origin: NonNullable<Report['origin']>, recipe: Report['recipe']) {
  const data = ORIGIN_DATA.flatMap((name) => {
    const given = origin[name];
    return given === null ? [] : [[`${name}_dataset_id`, given.dataset_id] as const];
  });
  return { model_id: origin.model_id, ...Object.fromEntries(data), recipe };
}
