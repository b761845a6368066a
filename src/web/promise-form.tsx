import { useState } from 'preact/hooks';
import type { TargetName } from '../recipe/terms.ts';
import { say } from './announcements.ts';
import { post } from './api-requests.ts';
import type { Dataset, Model, Search } from './api-types.ts';
import { Refusal } from './drop-zone.tsx';
import { remember } from './live-resource.ts';
import { hrefOf, navigate, route, setQuery } from './page-route.ts';
import { AIM_WORDS, PROMISE_NAMES, PROMISES } from './promise-words.ts';

const CONFIDENCES = ['0.9', '0.95', '0.99'];
const CANDIDATES = 120;

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
  const typed = query.get('amount');
  const amount = typed === null ? words.preset : Number(typed);
  const confidence = query.get('confidence') ?? '';
  const aim = query.get('aim') ?? 'size';
  const tries = Number(query.get('tries') ?? CANDIDATES);
  const limit = Number((amount * words.scale).toPrecision(12));
  const missing = [model === null ? 'a model' : '', test === null ? 'test data' : ''].filter(Boolean);
  const isRight = Number.isFinite(limit) && limit >= 0 && typed !== '' && tries >= 1;

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
        limits: { max_candidates: tries },
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
        onSubmit={(event) => {
          event.preventDefault();
          if (missing.length > 0) say(`Needs ${missing.join(' and ')} first.`);
          else if (isRight && !isSending) void find();
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
          <label class="field">
            by at most{words.unit === '' ? '' : `, ${words.unit}`}
            <input
              type="number"
              inputMode="decimal"
              min="0"
              step="any"
              required
              value={typed ?? String(words.preset)}
              onInput={(event) => setQuery({ promise: name, amount: event.currentTarget.value })}
            />
          </label>
          <label class="field">
            How sure
            <select
              value={confidence}
              onChange={(event) => setQuery({ confidence: event.currentTarget.value })}
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
          <label class="field">
            Models at most
            <input
              type="number"
              inputMode="numeric"
              min="1"
              max="1000"
              value={String(tries)}
              onInput={(event) => setQuery({ tries: event.currentTarget.value })}
            />
          </label>
        </details>
        <div role="alert">{error && <Refusal error={error} />}</div>
        <p class="go">
          <button type="submit" class="large" aria-disabled={missing.length > 0 || !isRight || isSending}>
            {isSending ? 'Asking' : 'Find the best'}
          </button>
          <span class="muted">
            {missing.length > 0
              ? `Needs ${missing.join(' and ')} first.`
              : isRight
                ? `${AIM_WORDS[aim]?.title ?? aim}, while ${words.sentence(limit)}.`
                : 'Say by how much.'}
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
