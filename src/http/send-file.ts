import type { Readable } from 'node:stream';
import { encodeExtended } from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';
import type { StoredFile } from '../storage/records.ts';
import type { FileRange } from '../storage/store.ts';
import { parseRange } from './byte-range.ts';
import { UPLOADED_CONTENT } from './content-headers.ts';

/**
 * Streams a file that never changes, with validators, one range and HEAD (RFC 9110, 13 and 14). The last segment of its name is what a
 * browser saves it as; its SHA-256 is a strong validator.
 * @throws EmpError `range_not_satisfiable`
 */
export function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  file: StoredFile,
  mediaType: string,
  read: (range: FileRange) => Readable,
): FastifyReply {
  const etag = `"${file.sha256}"`;
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=31536000, immutable',
    'content-disposition': contentDisposition(file.name),
    ...UPLOADED_CONTENT,
  });
  if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send();
  const ifRange = request.headers['if-range'];
  // A range of a representation other than the one the client holds is of no use to it: it gets the whole.
  const header = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  const range = parseRange(header, file.size_bytes);
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${file.size_bytes}`);
    throw new EmpError(
      'range_not_satisfiable',
      `${header} lies outside the file's ${file.size_bytes} bytes`,
      [{ path: 'Range', message: `must begin below ${file.size_bytes}` }],
    );
  }
  const { start, end } = range ?? { start: 0, end: file.size_bytes - 1 };
  if (range) reply.code(206).header('content-range', `bytes ${start}-${end}/${file.size_bytes}`);
  reply.type(mediaType).header('content-length', end - start + 1);
  if (request.method === 'HEAD' || file.size_bytes === 0) return reply.send();
  return reply.send(read({ start, end }));
}

/** RFC 6266: the plain name for old clients, the exact one for the rest. Plain names are quoted, as clients with a pattern of their own expect. */
export function contentDisposition(name: string): string {
  const last = name.split('/').at(-1) ?? name;
  const ascii = last.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_');
  return `attachment; filename="${ascii}"${ascii === last ? '' : `; filename*=${encodeExtended(last)}`}`;
}

/** Whether `If-None-Match` names it, weakly. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag);
}
