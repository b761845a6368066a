import { z } from 'zod';
import { shown } from './issue-words.ts';

const WHOLE = /^(?:0|[1-9]\d*)$/;
/** The numbers of RFC 8259. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A parameter of a path or query that is a whole number from 0 on, in its one spelling: `Number` takes blanks for 0, and `0x5` and `1e0` for numbers. */
export function wholeParameter<T extends z.ZodType>(schema: T) {
  return spelled(WHOLE, 'must be a whole number written as 0, 1, 2 and so on', schema);
}

/** A parameter of a path or query that is any number. */
export function numberParameter<T extends z.ZodType>(schema: T) {
  return spelled(JSON_NUMBER, 'must be a number as JSON has them', schema);
}

function spelled<T extends z.ZodType>(spelling: RegExp, wanted: string, schema: T) {
  return z.preprocess((input, { issues }) => {
    if (typeof input !== 'string') return input;
    if (spelling.test(input)) return Number(input);
    issues.push({ code: 'custom', message: `${wanted}, is ${shown(input)}`, input });
    return z.NEVER;
  }, schema);
}
