const START = '<!-- written by npm run reproduce -->';
const END = '<!-- end -->';

/** The README with `table` where its marks are. */
export function placeTable(readme: string, table: string): string {
  const [start, end] = [readme.indexOf(START), readme.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`README.md: no ${START} before ${END}`);
  return `${readme.slice(0, start)}${START}\n${table}\n${readme.slice(end)}`;
}
