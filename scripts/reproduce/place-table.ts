const END = '<!-- end -->';

/** A text with `table` where the marks of a part of the document are. */
export function placeTable(text: string, part: string, table: string): string {
  const mark = `<!-- written by npm run reproduce -- ${part} -->`;
  const start = text.indexOf(mark);
  const end = text.indexOf(END, start);
  if (start < 0 || end < 0) throw new Error(`no ${mark} before ${END}`);
  return `${text.slice(0, start)}${mark}\n${table}\n${text.slice(end)}`;
}
