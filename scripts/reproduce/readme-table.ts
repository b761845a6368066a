const END = '<!-- end -->';

/** The README with `table` where the marks of a part of the document are. */
export function placeTable(readme: string, part: string, table: string): string {
  const mark = `<!-- written by npm run reproduce -- ${part} -->`;
  const start = readme.indexOf(mark);
  const end = readme.indexOf(END, start);
  if (start < 0 || end < 0) throw new Error(`README.md: no ${mark} before ${END}`);
  return `${readme.slice(0, start)}${mark}\n${table}\n${readme.slice(end)}`;
}
