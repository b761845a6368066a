/** Characters of a name that is told to somebody; those of real models have a hundred. */
export const MAX_TOLD_NAME = 200;

/** A text of at most `most` characters: one that has more loses its middle, so that what is said before and after a long name stays. */
export function clip(text: string, most: number): string {
  if (text.length <= most) return text;
  const left = `…[${text.length} characters]…`;
  const half = Math.max(0, Math.floor((most - left.length) / 2));
  return (text.slice(0, half) + left + text.slice(text.length - half)).toWellFormed();
}
