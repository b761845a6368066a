import { useId, useState } from 'preact/hooks';
import { ApiError } from './api-requests.ts';
import { GIVEN, type Given, give, uploads } from './given-files.ts';

interface DropZoneProps {
  readonly given: Given;
  readonly hint: string;
  readonly accept: string;
  /** What is there; null for nothing. */
  readonly summary: string | null;
  readonly isOptional?: boolean;
  /** Uploads them; hears shares from 0 to 1. */
  readonly send: (files: File[], onProgress: (share: number) => void) => Promise<{ readonly id: string }>;
}

/** A place for files: dropped, or chosen by mouse or keyboard. What was there stays until the new ones are. */
export function DropZone({ given, hint, accept, summary, isOptional = false, send }: DropZoneProps) {
  const id = useId();
  const title = GIVEN[given];
  const { share, error } = uploads.value[given];
  const [isOver, setIsOver] = useState(false);

  const take = async (files: File[]) => {
    if (files.length > 0) await give(given, (onProgress) => send(files, onProgress));
  };

  return (
    <section
      class={`drop${summary === null ? '' : ' done'}${isOver ? ' over' : ''}`}
      aria-labelledby={`${id}-title`}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setIsOver(false);
        void take([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <h3 id={`${id}-title`}>
        {title}
        {isOptional && <span class="muted"> optional</span>}
      </h3>
      <p class={summary === null ? 'muted' : 'summary'}>{summary ?? hint}</p>
      {share !== null && (
        <p class="uploading">
          <progress value={share} max={1} aria-label={`${title}: uploading`} />
          <span>{share < 1 ? `${Math.floor(100 * share)} %` : 'being read'}</span>
        </p>
      )}
      <div role="alert">{error && <Refusal error={error} />}</div>
      <label class="pick">
        <input
          type="file"
          multiple
          accept={accept}
          aria-label={`${title}: ${summary === null ? 'choose files' : 'choose others'}`}
          disabled={share !== null}
          onChange={(event) => {
            const input = event.currentTarget;
            void take([...(input.files ?? [])]);
            // The same files may be chosen again once they are mended.
            input.value = '';
          }}
        />
        <span aria-hidden="true">{summary === null ? 'Drop or choose files' : 'Choose others'}</span>
      </label>
    </section>
  );
}

/** Why something was not done, and what of it. */
export function Refusal({ error }: { error: Error }) {
  const findings = error instanceof ApiError ? error.findings : [];
  return (
    <div class="bad refusal">
      <p>{error.message}</p>
      {findings.length > 0 && (
        <ul>
          {findings.slice(0, 5).map((finding) => (
            <li key={finding}>{finding}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
