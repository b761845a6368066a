import { useState } from 'preact/hooks';
import { say } from './announcements.ts';

/** Copies a text, where the browser allows it: elsewhere it is shown to be selected. */
export function CopyButton({
  text,
  label,
  isQuiet = true,
}: {
  text: string;
  label: string;
  isQuiet?: boolean;
}) {
  const [state, setState] = useState<'ready' | 'copied' | 'shown'>('ready');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setState('copied');
      say('Copied.');
    } catch {
      setState('shown');
    }
  };
  return (
    <>
      <button type="button" class={isQuiet ? 'secondary' : ''} onClick={copy}>
        {state === 'copied' ? 'Copied' : label}
      </button>
      {state === 'shown' && <textarea readOnly rows={3} value={text} aria-label={label} />}
    </>
  );
}

/** The address has all that another browser needs. */
export function ShareLink() {
  return <CopyButton text={location.href} label="Copy link" />;
}
