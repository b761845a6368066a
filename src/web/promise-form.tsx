import { useState } from 'preact/hooks';
import type { TargetName } from '../recipe/terms.ts';
import { say } from './announcements.ts';
import { post } from './api-requests.ts';
import type { Dataset, Model, Search } from './api-types.ts';
import { Refusal } from './drop-zone.tsx';
import { remember } from './live-resource.ts';
import { boundsOf, MODELS, numberOf, PRESET_MODELS, problemOf } from './number-bounds.ts';
import { NumberField, showInvalid } from './number-field.tsx';
import { hrefOf, navigate, route, setQuery } from './page-route.ts';
import { AIM_WORDS, PROMISE_NAMES, PROMISES } from './promise-words.ts';

const CONFIDENCES = ['0.9', '0.95', '0.99'];

interface Given {
  readonly model: Model | null;
  readonly test: Dataset | null;
  readonly calibration: Dataset | null;
}

/** What the model may cost and what that should bring; its choices are in the address. */
export function PromiseForm({ model, test, calibration }: Given) {
  const { query } = route.value;
  const [isSending, setIsSending] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const labels = test?.kind === 'samples' ? test.labels : null;
  const allowed = PROMISE_NAMES.filter((name) => isAllowed(name, labels));
  const asked = query.get('promise') as TargetName | null;
  const name = asked !== null && allowed.includes(asked) ? asked : allowed[0];
  const words = PROMISES[name];
  const amount = query.get('amount') ?? String(words.preset);
  const bounds = boundsOf(name);
  const confidence = query.get('confidence') ?? '';
  const aim = query.get('aim') ?? 'size';
  const tries = query.get('tries') ?? String(PRESET_MODELS);
  const limit = Number((numberOf(amount) * words.scale).toPrecision(12));
  const missing = [model === null ? 'a model' : '', test === null ? 'test data' : ''].filter(Boolean);
  const wrong = [
    problemOf(amount, bounds) === null ? '' : 'by how much',
    problemOf(tries, MODELS) === null ? '' : 'how many models',
  ].filter(Boolean);

  const find = async () => {
    setIsSending(true);
    setError(null);
    try {
      const search = await post<Search>('/v1/searches', {
        model_id: model?.id,
        evaluation_dataset_id: test?.id,
        calibration_dataset_id: calibration?.id ?? null,
        promise: { [name]: limit, ...(confidence !== '' && { confidence: Number(confidence) }) },
        aim,
        limits: { max_candidates: numberOf(tries) },
      });
      remember(`/v1/searches/${search.id}`, search);
      say('The search has begun.');
      navigate(hrefOf(`/searches/${search.id}`));
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setIsSending(false);
    }
  };

  return (
    <section aria-labelledby="ask">
      <h2 id="ask">
        <span class="step">2</span> What may it cost, what should it bring?
      </h2>
      <form
        class="promise"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (missing.length > 0) say(`Needs ${missing.join(' and ')} first.`);
          else if (wrong.length > 0) showInvalid(event.currentTarget);
          else if (!isSending) void find();
        }}
      >
        <div class="fields">
          <label class="field">
            It is fine if
            <select
              value={name}
              onChange={(event) => setQuery({ promise: event.currentTarget.value, amount: null })}
            >
              {PROMISE_NAMES.map((one) => (
                <option key={one} value={one} disabled={!allowed.includes(one)}>
                  {PROMISES[one].title}
                </option>
              ))}
            </select>
          </label>
          <NumberField
            label={`by at most${words.unit === '' ? '' : `, ${words.unit}`}`}
            typed={amount}
            bounds={bounds}
            onType={(typed) => setQuery({ promise: name, amount: typed })}
          />
          <label class="field">
            How sure
            <select
              value={confidence}
              onChange={(event) => setQuery({ confidence: event.currentTarget.value || null })}
            >
              <option value="">As measured</option>
              {CONFIDENCES.map((one) => (
                <option key={one} value={one}>
                  {100 * Number(one)} % confidence
                </option>
              ))}
            </select>
          </label>
        </div>
        <p class="hint">
          {words.hint}
          {labels === null &&
            test !== null &&
            ' These test data have no labels: the original is what counts.'}
          {confidence !== '' &&
            ' A promise with confidence is tested on samples that no choice saw; it needs many.'}
        </p>
        <fieldset class="aims">
          <legend>What it should bring</legend>
          {Object.entries(AIM_WORDS).map(([one, { title, hint }]) => (
            <label key={one} class="aim">
              <input
                type="radio"
                name="aim"
                value={one}
                checked={aim === one}
                onChange={() => setQuery({ aim: one === 'size' ? null : one })}
              />
              <span>
                <strong>{title}</strong>
                <small>{hint}</small>
              </span>
            </label>
          ))}
        </fieldset>
        <details>
          <summary>How much may be tried</summary>
          <NumberField
            label="Models at most"
            typed={tries}
            bounds={MODELS}
            onType={(typed) => setQuery({ tries: typed })}
          />
        </details>
        <div role="alert">{error && <Refusal error={error} />}</div>
        <p class="go">
          <button type="submit" class="large" aria-disabled={missing.length > 0 || isSending}>
            {isSending ? 'Asking' : 'Find the best'}
          </button>
          <span class="muted">
            {missing.length > 0
              ? `Needs ${missing.join(' and ')} first.`
              : wrong.length > 0
                ? `Say ${wrong.join(' and ')}.`
                : `${AIM_WORDS[aim]?.title ?? aim}, while ${words.sentence(limit)}.`}
          </span>
        </p>
      </form>
    </section>
  );
}

/** Of labels the shape and type tell what there is: floats have no accuracy. */
function isAllowed(name: TargetName, labels: { readonly dtype: string } | null): boolean {
  if (!PROMISES[name].needsLabels) return true;
  return labels !== null && (name !== 'max_accuracy_drop' || !/float/.test(labels.dtype));
}
