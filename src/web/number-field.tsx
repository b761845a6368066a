import { useId } from 'preact/hooks';
import { type Bounds, problemOf } from './number-bounds.ts';

interface NumberFieldProps {
  readonly label: string;
  /** As it is typed, also where it is no number. */
  readonly typed: string;
  readonly bounds: Bounds;
  readonly onType: (typed: string) => void;
}

/** A number as one types it, and what is wrong with it. */
export function NumberField({ label, typed, bounds, onType }: NumberFieldProps) {
  const id = useId();
  const problem = problemOf(typed, bounds);
  const { min, max, isWhole } = bounds;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        inputMode={isWhole ? 'numeric' : 'decimal'}
        min={min}
        max={max}
        step={isWhole ? 1 : 'any'}
        value={typed}
        aria-invalid={problem !== null}
        aria-describedby={`${id}-problem`}
        onInput={(event) => onType(event.currentTarget.value)}
      />
      <span id={`${id}-problem`} class="bad">
        {problem}
      </span>
    </div>
  );
}

/** Leads to the first field of a form that is wrong, out of what is folded. */
export function showInvalid(form: HTMLFormElement): void {
  const field = form.querySelector<HTMLElement>('[aria-invalid="true"]');
  const folded = field?.closest('details');
  if (folded) folded.open = true;
  field?.focus();
}
