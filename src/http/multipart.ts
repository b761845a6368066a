import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';
import { FileNames } from '../formats/file-names.ts';
import { badPart, type FileRule, MAX_FILES, type ReceivedFiles } from '../intake/received-files.ts';
import { storeFile } from '../intake/store-file.ts';
import type { StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import { closedEarly } from './body.ts';
import { checkArrayFileName, checkFileName } from './file-name.ts';

/** A recipe and its metadata are some kilobytes; parts that are not files are held in memory. */
const MAX_TEXT_BYTES = 1024 * 1024;
/** Boundaries and part headers. */
const OVERHEAD_BYTES = 4 * 1024 * 1024;

export interface MultipartRules {
  /** The parts that are files, by name. */
  readonly files: Readonly<Record<string, FileRule>>;
  /** Names of parts that are small texts. */
  readonly texts: readonly string[];
  /** Of all files together. */
  readonly maxBytes: number;
  /** Whose room the files take. */
  readonly upload: Pick<Upload, 'announce' | 'ensureRoom'>;
  /** Of the client. */
  readonly signal: AbortSignal;
}

export interface ReceivedParts {
  readonly files: ReceivedFiles;
  readonly texts: ReadonlyMap<string, Buffer>;
}

/**
 * Streams the parts of a multipart request: files to their folders, hashed on the way and synced to disk, texts to memory. Rejects when the
 * client goes away in the middle; what was written until then is the caller's to discard.
 * @throws EmpError `malformed_body`, `payload_too_large`, `insufficient_storage` (as announced or as it comes),
 *   `invalid_request` (unknown, repeated or unnamed parts)
 */
export async function receiveParts(request: FastifyRequest, rules: MultipartRules): Promise<ReceivedParts> {
  checkBoundary(request.headers['content-type']);
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > rules.maxBytes + OVERHEAD_BYTES) throw tooLarge(rules.maxBytes);
  await rules.upload.announce(announced);
  // The parser would wait for ever: it has yet to listen for the end that has come already.
  if (request.raw.destroyed) throw closedEarly();
  const files = new Map<string, StoredFile[]>();
  const texts = new Map<string, Buffer>();
  const place = createPlaces();
  let received = 0;
  let count = 0;
  let ofPrototype: string | undefined;
  const parts = request.parts({
    preservePath: true,
    // Of others the plugin decodes bytes that are no text, and parses what says it is JSON, however deep or wide that is.
    isPartAFile(name) {
      // The plugin refuses it, and does not say which.
      if (name !== undefined && name in Object.prototype) ofPrototype ??= name;
      return true;
    },
    limits: {
      // One more, so that the bytes and files counted here pass their limits as they come: the parser tells of it at a part's end.
      fileSize: rules.maxBytes + 1,
      files: MAX_FILES + rules.texts.length + 1,
      parts: MAX_FILES + rules.texts.length + 2,
    },
  });
  const named = () => unknownPart(ofPrototype, rules);
  for await (const part of readable(parts as AsyncIterable<MultipartFile>, named)) {
    const { fieldname } = part;
    if (rules.texts.includes(fieldname)) {
      if (texts.has(fieldname)) throw badPart(fieldname, 'is given twice');
      texts.set(fieldname, await readText(part));
      continue;
    }
    const rule = Object.hasOwn(rules.files, fieldname) ? rules.files[fieldname] : undefined;
    if (rule === undefined) throw unknownPart(fieldname, rules);
    if (part.filename === undefined) throw badPart(fieldname, 'must be a file: its filename is missing');
    if (++count > MAX_FILES) throw tooMany();
    const taken = files.get(fieldname) ?? [];
    files.set(fieldname, taken);
    const { name, path } = await place(part, rule, taken.length);
    const limited = limitBytes(part, rules.maxBytes - received, rules.maxBytes);
    const stored = { name, ...(await storeFile(limited, path, rules.upload, rules.signal)) };
    received += stored.size_bytes;
    taken.push(stored);
  }
  return { files, texts };
}

/** Gives a function that says where a file goes and makes its folder. It throws `invalid_request` for a name that cannot be, or not twice. */
function createPlaces() {
  const places = new Map<string, FileNames>();
  const folders = new Set<string>();
  return async ({ fieldname, filename }: MultipartFile, { directory, numbered }: FileRule, count: number) => {
    const name = (numbered ? checkArrayFileName : checkFileName)(filename, fieldname);
    const names = places.get(fieldname) ?? new FileNames();
    places.set(fieldname, names);
    // A name that is no path is one plain name.
    const other = names.add(numbered ? encodeURIComponent(name) : name);
    if (names.size > MAX_FILES) throw tooMany();
    if (other !== null && (numbered || other === name))
      throw badPart(fieldname, `has two files named ${name}`);
    if (other !== null) throw badPart(fieldname, `has files ${other} and ${name}, one inside the other`);
    const path = join(directory, numbered ? String(count) : name);
    const folder = dirname(path);
    if (!folders.has(folder)) await mkdir(folder, { recursive: true });
    folders.add(folder);
    return { name, path };
  };
}

/**
 * The parser of multipart bodies throws errors that say what they are only in their text.
 * @param named makes the error about a part that is named like what all objects have
 */
async function* readable<T>(parts: AsyncIterable<T>, named?: () => EmpError): AsyncGenerator<T> {
  try {
    yield* parts;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ECONNRESET') throw closedEarly();
    if (code === 'FST_PROTO_VIOLATION' && named) throw named();
    if (code === 'FST_FILES_LIMIT' || code === 'FST_PARTS_LIMIT') throw tooMany();
    if (code !== undefined) throw error;
    // The parser looks for a boundary, as for a needle.
    if (/needle/i.test(message)) throw badBoundary('has a boundary that is too long');
    if (/unexpected end/i.test(message))
      throw new EmpError('malformed_body', 'the form has no end: a line of its boundary between -- and --');
    if (/multipart|boundary/i.test(message))
      throw new EmpError('malformed_body', `the form cannot be read: ${message}`);
    throw error;
  }
}

async function* limitBytes(part: MultipartFile, left: number, maxBytes: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of readable<Buffer>(part.file)) {
    size += chunk.byteLength;
    if (size > left) throw tooLarge(maxBytes);
    yield chunk;
  }
}

/** A small part, also where it is sent as a file, as `curl -F recipe=@recipe.json` does. */
async function readText(part: MultipartFile): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of readable<Buffer>(part.file)) {
    size += chunk.byteLength;
    if (size > MAX_TEXT_BYTES) throw textTooLarge(part.fieldname);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function textTooLarge(part: string): EmpError {
  return new EmpError('payload_too_large', `part ${part} is larger than ${MAX_TEXT_BYTES} bytes`);
}

/** @param part without a `name` in its Content-Disposition: undefined, whatever the plugin's types say */
function unknownPart(part: string | undefined, { files, texts }: MultipartRules): EmpError {
  const known = [...Object.keys(files), ...texts].join(', ');
  if (part) return badPart(part, `is not a part of this request, whose parts are ${known}`);
  const message = `must name the part, one of ${known}`;
  return new EmpError('invalid_request', `a part has no name: its Content-Disposition ${message}`, [
    { path: 'Content-Disposition', message },
  ]);
}

function checkBoundary(contentType = ''): void {
  const [found, quoted, plain] = /;\s*boundary\s*=\s*(?:"([^"]*)"|([^;\s"]*))/i.exec(contentType) ?? [];
  if (found === undefined) throw badBoundary('names no boundary');
  if (!quoted && !plain) throw badBoundary('has an empty boundary');
}

function badBoundary(found: string): EmpError {
  const message = 'must name a boundary of 1 to 70 characters (RFC 2046)';
  return new EmpError('malformed_body', `Content-Type ${found}; it ${message}`, [
    { path: 'Content-Type', message },
  ]);
}

function tooLarge(maxBytes: number): EmpError {
  return new EmpError(
    'payload_too_large',
    `the files are larger than the ${maxBytes} bytes that one upload may have (MAX_UPLOAD_BYTES)`,
  );
}

function tooMany(): EmpError {
  return new EmpError(
    'payload_too_large',
    `the request has more than the ${MAX_FILES} files and folders that one upload may have: put the tensors into fewer files`,
  );
}
