import { useState } from 'preact/hooks';
import { shellQuoted, shellWord } from '../report/wording.ts';
import { hasKey } from './api-key.ts';
import type { Job } from './api-types.ts';
import { ScrollArea } from './paged-table.tsx';
import { CopyButton } from './share-link.tsx';

interface CommandsProps {
  readonly job: Job;
  /** The model's file; null where there is none. */
  readonly file: Job['artifacts'][number] | null;
}

/** The same model again, from a shell or a program. */
export function CopyCommands({ job, file }: CommandsProps) {
  const [name, setName] = useState<keyof typeof WAYS>('curl');
  const text = WAYS[name](job, file?.name ?? '');
  return (
    <details>
      <summary>The same by curl, Python or the command line</summary>
      <p class="actions ways">
        {(Object.keys(WAYS) as (keyof typeof WAYS)[]).map((way) => (
          <button
            type="button"
            key={way}
            class="secondary"
            aria-pressed={way === name}
            onClick={() => setName(way)}
          >
            {way}
          </button>
        ))}
        <CopyButton key={name} text={text} label={`Copy as ${name}`} />
      </p>
      <ScrollArea label={name}>
        <pre>{text}</pre>
      </ScrollArea>
    </details>
  );
}

const WAYS = { curl: curlOf, Python: pythonOf, CLI: commandOf } as const;

function bodyOf({
  model_id,
  recipe,
  calibration_dataset_id,
  selection_dataset_id,
  evaluation_dataset_id,
}: Job) {
  return { model_id, recipe, calibration_dataset_id, selection_dataset_id, evaluation_dataset_id };
}

function curlOf(job: Job, file: string): string {
  const key = hasKey.value ? ' \\\n  -H "Authorization: Bearer $EMP_API_KEY"' : '';
  const body = shellQuoted(JSON.stringify(bodyOf(job)));
  const { origin } = location;
  const artifact = `/v1/jobs/${job.id}/artifacts/${encodeURIComponent(file)}`;
  return `# The model that was found
curl -sS --fail-with-body -OJ ${origin}${artifact}${key}

# The same once more, as a job of its own
curl -sS --fail-with-body ${origin}/v1/jobs -H 'Content-Type: application/json' -H 'Prefer: wait=60'${key} \\
  -d ${body}
`;
}

function pythonOf(job: Job, file: string): string {
  const key = hasKey.value
    ? `\nsession.headers["Authorization"] = f"Bearer {os.environ['EMP_API_KEY']}"`
    : '';
  return `${hasKey.value ? 'import os\n' : ''}import time

import requests

SERVICE = ${python(location.origin)}
FILE = ${python(file)}
session = requests.Session()${key}

request = ${python(bodyOf(job))}
answer = session.post(f"{SERVICE}/v1/jobs", json=request)
answer.raise_for_status()
job = answer.json()
while job["finished_at"] is None:
    time.sleep(1)
    job = session.get(f"{SERVICE}/v1/jobs/{job['id']}").json()
assert job["status"] == "succeeded", job["error"]

url = next(one["url"] for one in job["artifacts"] if one["name"] == FILE)
model = session.get(SERVICE + url)
model.raise_for_status()
with open(FILE.rsplit("/", 1)[-1], "wb") as out:
    out.write(model.content)
`;
}

/** The files are those that were uploaded, whatever they are called there. */
function commandOf(
  { recipe, calibration_dataset_id, selection_dataset_id, evaluation_dataset_id }: Job,
  file: string,
): string {
  const data = [
    evaluation_dataset_id && '--inputs evaluation_inputs.npy --labels evaluation_labels.npy',
    calibration_dataset_id && '--calibration calibration_inputs.npy',
    selection_dataset_id && '--selection selection_inputs.npy --selection-labels selection_labels.npy',
  ].filter(Boolean);
  return `# The recipe that was found, on this machine and without a server
cat > recipe.json <<'END'
${JSON.stringify(recipe, null, 2)}
END
emp prune ${shellWord(file)} --recipe recipe.json${data.map((flags) => ` \\\n  ${flags}`).join('')}
`;
}

/** As a literal of Python's. */
function python(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([name, one]) => `${JSON.stringify(name)}: ${python(one)}`)
      .join(', ')}}`;
  return JSON.stringify(value);
}
