import { isUtf8 } from 'node:buffer';
import { EmpError } from '../core/errors.ts';
import { pointerToken } from './problem.ts';

/** What a JSON text may hold at most. Bytes are counted as they are written, escapes included. */
export interface JsonBounds {
  /** Arrays and objects inside one another. */
  readonly depth: number;
  /** Of all objects together. */
  readonly keys: number;
  readonly keyBytes: number;
  readonly stringBytes: number;
  readonly numbers: number;
  /** Values that are not numbers: arrays and objects too. */
  readonly others: number;
  /** Keys that no object of it may have. */
  readonly refusedKeys?: readonly string[];
}

/**
 * A JSON text as its value, counted before it is parsed: what is cheap to send may be costly to hold, and V8 takes quadratic time over
 * many long keys. A byte order mark is passed over.
 * @param what names the text in errors, as in `the body`
 * @throws EmpError `malformed_body`, and `invalid_request` for what is beyond a bound or a key that is given twice, with the place
 */
export function parseBoundedJson(bytes: Uint8Array, bounds: JsonBounds, what: string): unknown {
  if (!isUtf8(bytes))
    throw new EmpError('malformed_body', `${what} is not in UTF-8, as JSON is (RFC 8259, 8.1)`);
  new Scan(bytes, bounds, what).run();
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(text);
  } catch (error) {
    const hint = /\b(NaN|Infinity)\b/.test(text) ? '; JSON has no NaN or Infinity' : '';
    throw new EmpError(
      'malformed_body',
      `${what} is not JSON: ${error instanceof Error ? error.message : error}${hint}`,
    );
  }
}

const [QUOTE, BACKSLASH, COMMA, COLON] = Buffer.from('"\\,:');
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('[]{}');
const [T, F, N] = Buffer.from('tfn');
/** What values begin with that are not numbers, and what follows a key. */
const OTHERS = Array.from(Buffer.from('"[{tfn:'));
/** Of each byte whether a number may go on with it (1), or begin (2). */
const NUMBER = new Uint8Array(256);
for (const byte of Buffer.from('+.Ee')) NUMBER[byte] = 1;
for (const byte of Buffer.from('-0123456789')) NUMBER[byte] = 2;
/** A key as it stands in a message or a pointer. */
const SHOWN_CHARACTERS = 100;

/** An array or object that is open where the scan stands. */
interface Level {
  /** Of an object. */
  readonly keys: Set<string> | null;
  /** The key or index of the value that comes. */
  key: string;
  index: number;
}

/** One pass over bytes that need not be valid JSON; up to where they are, it sees what a parser sees. */
class Scan {
  readonly #bytes: Buffer;
  readonly #bounds: JsonBounds;
  readonly #what: string;
  readonly #levels: Level[] = [];
  #keys = 0;
  #others = 0;

  constructor(bytes: Uint8Array, bounds: JsonBounds, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bounds = bounds;
    this.#what = what;
  }

  run(): void {
    const bytes = this.#bytes;
    const { length } = bytes;
    const mostNumbers = this.#bounds.numbers;
    const ahead = new Lookahead(bytes);
    let numbers = 0;
    let level: Level | undefined;
    let isKeyDue = false;
    for (let at = 0; at < length; at++) {
      const byte = bytes[at];
      if (NUMBER[byte] === 2) {
        if (++numbers > mostNumbers) throw this.#oneTooMany('numbers', 'numbers', at);
        while (NUMBER[bytes[at + 1]] > 0) at++;
      } else if (byte === COMMA) {
        if (level?.keys) isKeyDue = true;
        else if (level) level.index++;
      } else if (byte === QUOTE) {
        const end = endOfString(bytes, at + 1);
        if (isKeyDue && level) this.#take(level, at, end);
        else this.#string(at, end);
        isKeyDue = false;
        at = end;
      } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
        this.#other(at);
        isKeyDue = byte === OPEN_OBJECT;
        if (this.#levels.length === this.#bounds.depth)
          throw this.#beyond(`nests deeper than ${this.#bounds.depth} levels`, at);
        level = { keys: isKeyDue ? new Set() : null, key: '', index: 0 };
        this.#levels.push(level);
        if (mostNumbers === Number.POSITIVE_INFINITY && !isKeyDue) at = ahead.endOfNumbers(at);
      } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
        this.#levels.pop();
        level = this.#levels.at(-1);
        isKeyDue = false;
      } else if (byte === COLON) isKeyDue = false;
      else if (byte === T || byte === F || byte === N) this.#other(at);
    }
  }

  /** A key from its opening quote to its closing one. */
  #take(level: Level, start: number, end: number): void {
    const { keyBytes, refusedKeys = [] } = this.#bounds;
    const length = end - start - 1;
    const shown = this.#bytes.toString('utf8', start + 1, Math.min(end, start + 1 + SHOWN_CHARACTERS));
    if (length > keyBytes) {
      level.key = shown;
      throw this.#beyond(`is a key of ${length} bytes; it may have ${keyBytes}`, start);
    }
    const key = this.#textOf(start, end);
    level.key = key.slice(0, SHOWN_CHARACTERS);
    this.#keys = this.#count(this.#keys, 'keys', 'keys of objects', start);
    if (level.keys?.has(key)) throw this.#beyond('is given twice', start);
    if (refusedKeys.includes(key)) throw this.#beyond('is no name that this request can hold', start);
    level.keys?.add(key);
  }

  #textOf(start: number, end: number): string {
    const raw = this.#bytes.toString('utf8', start + 1, end);
    if (!raw.includes('\\')) return raw;
    try {
      return JSON.parse(`"${raw}"`);
    } catch {
      // The parser will say what is wrong with it.
      return raw;
    }
  }

  #string(start: number, end: number): void {
    this.#other(start);
    const { stringBytes } = this.#bounds;
    const length = end - start - 1;
    if (length > stringBytes)
      throw this.#beyond(`is a string of ${length} bytes; it may have ${stringBytes}`, start);
  }

  #other(at: number): void {
    this.#others = this.#count(this.#others, 'others', 'values that are not numbers', at);
  }

  #count(seen: number, bound: 'keys' | 'others', what: string, at: number): number {
    if (seen < this.#bounds[bound]) return seen + 1;
    throw this.#oneTooMany(bound, what, at);
  }

  #oneTooMany(bound: 'keys' | 'numbers' | 'others', what: string, at: number): EmpError {
    return this.#beyond(`is one too many: a request may have ${this.#bounds[bound]} ${what}`, at);
  }

  #beyond(message: string, at: number): EmpError {
    const path = this.#levels.map(({ keys, key, index }) => pointerToken(keys ? key : index)).join('') || '/';
    return new EmpError('invalid_request', `${path} ${message} (byte ${at} of ${this.#what})`, [
      { path, message },
    ]);
  }
}

/** Passes over arrays of numbers, as fast as bytes can be searched for others. */
class Lookahead {
  readonly #bytes: Buffer;
  /** Where each of `OTHERS` comes next, as far as it was looked for. */
  readonly #next = OTHERS.map(() => -1);

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The last byte before the end of the array that opens at `open`, or `open` where it holds what is not a number. */
  endOfNumbers(open: number): number {
    const close = this.#find(CLOSE_ARRAY, open);
    for (let i = 0; i < OTHERS.length; i++) {
      if (this.#next[i] <= open) this.#next[i] = this.#find(OTHERS[i], open + 1);
      if (this.#next[i] < close) return open;
    }
    return close - 1;
  }

  #find(byte: number, from: number): number {
    const found = this.#bytes.indexOf(byte, from);
    return found < 0 ? this.#bytes.length : found;
  }
}

/** The index of the closing quote, or the length of bytes that lack it. */
function endOfString(bytes: Buffer, start: number): number {
  for (let from = start; ; ) {
    const end = bytes.indexOf(QUOTE, from);
    if (end < 0) return bytes.length;
    let backslashes = 0;
    while (bytes[end - 1 - backslashes] === BACKSLASH && end - 1 - backslashes >= start) backslashes++;
    if (backslashes % 2 === 0) return end;
    from = end + 1;
  }
}
