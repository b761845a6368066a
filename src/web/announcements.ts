import { signal } from '@preact/signals';

/** What readers of the screen are told. */
export const said = signal('');

export function say(text: string): void {
  said.value = text;
}
