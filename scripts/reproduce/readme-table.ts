const START = '<!-- written by npm run reproduce -->';
const END = '<!-- end -->';

/** The README with `table` where its marks are. */
export function placeTable(readme: string, table: string): string {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END, start);
  if (start < 0 || end < 0) throw new Error(`README.md: no ${START} before ${END}`);
  return `${readme.slice(0, start)}${START}\n${table}\n${readme.slice(end)}`;
}
