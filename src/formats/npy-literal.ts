import { EmpError } from '../core/errors.ts';

/** What the Python dict in a `.npy` header says. */
export interface NpyDescription {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** NumPy's own limit. */
const MAX_RANK = 64;

const MEMBERS = {
  descr: /'[^'\\]*'|"[^"\\]*"/y,
  fortran_order: /True|False/y,
  // Python 2 wrote long integers with an L.
  shape: /\(\s*(?:\d+L?\s*,\s*(?:\d+L?\s*(?:,\s*\d+L?\s*)*(?:,\s*)?)?)?\)/y,
} as const;

/**
 * Parses exactly the literal that NumPy writes, `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order, padded with
 * white space; no other Python.
 * @throws EmpError malformed_npy, unsupported_dtype for the list of fields of a structured array
 */
export function parseDescription(text: string): NpyDescription {
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  };
  const expect = (pattern: RegExp, what: string): string => {
    take(/\s*/y);
    const found = take(pattern);
    if (found === null) throw malformedNpy(`expected ${what} at character ${at} of the header`);
    return found;
  };

  const members = new Map<string, string>();
  expect(/\{/y, "'{'");
  do {
    const key = expect(/'(?:descr|fortran_order|shape)'/y, "'descr', 'fortran_order' or 'shape'").slice(
      1,
      -1,
    );
    expect(/:/y, "':'");
    if (key === 'descr' && take(/\s*\[/y) !== null)
      throw new EmpError('unsupported_dtype', "it is a structured array; save one field, as in arr['name']");
    if (members.has(key)) throw malformedNpy(`'${key}' is written twice`);
    members.set(key, expect(MEMBERS[key as keyof typeof MEMBERS], `the value of '${key}'`));
  } while (take(/\s*,(?!\s*\})/y) !== null);
  expect(/,?\s*\}\s*$/y, "'}' and the header's end");

  const [descr, fortranOrder, shape] = Object.keys(MEMBERS).map((key) => members.get(key));
  if (descr === undefined || fortranOrder === undefined || shape === undefined)
    throw malformedNpy("the header lacks one of 'descr', 'fortran_order' and 'shape'");
  const dimensions = (shape.match(/\d+/g) ?? []).map(Number);
  if (dimensions.length > MAX_RANK)
    throw malformedNpy(`the array has ${dimensions.length} dimensions, more than ${MAX_RANK}`);
  return { descr: descr.slice(1, -1), fortranOrder: fortranOrder === 'True', shape: dimensions };
}

export function malformedNpy(message: string): EmpError {
  return new EmpError('malformed_npy', message);
}
