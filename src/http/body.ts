import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { EmpError } from '../core/errors.ts';
import type { Hold } from './body-memory.ts';

type Decoder = zlib.Gunzip | zlib.BrotliDecompress | zlib.ZstdDecompress;

const DECODERS: Readonly<Record<string, () => Decoder>> = {
  gzip: zlib.createGunzip,
  'x-gzip': zlib.createGunzip,
  br: zlib.createBrotliDecompress,
  zstd: zlib.createZstdDecompress,
};

/**
 * A request's whole body, decoded. `limit` counts decoded bytes, and no more than that is ever held, however far the encoded form would unfold.
 * The request's stream is never destroyed, so that a refusal still reaches the client.
 * @throws EmpError `payload_too_large`, `unsupported_media_type` (an unknown Content-Encoding), `malformed_body` (cut or broken),
 *   `not_ready` (no memory for it now)
 */
export async function readBody(
  payload: Readable,
  headers: IncomingHttpHeaders,
  limit: number,
  hold: Hold,
): Promise<Buffer> {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  if (encoding === 'identity') {
    if (length !== undefined && length > limit) throw tooLarge(limit);
    return collect(payload, limit, hold, length);
  }
  const createDecoder = DECODERS[encoding];
  if (!createDecoder) {
    throw new EmpError(
      'unsupported_media_type',
      `Content-Encoding ${encoding} is not one of gzip, zstd, br, identity`,
      [{ path: 'Content-Encoding', message: 'must be gzip, zstd, br or identity' }],
    );
  }
  return decode(payload, createDecoder(), limit, hold);
}

async function decode(payload: Readable, decoder: Decoder, limit: number, hold: Hold): Promise<Buffer> {
  let received = 0;
  // It may be destroyed for a second reason when nobody reads it any more.
  decoder.on('error', () => {});
  payload.on('data', (chunk: Buffer) => {
    received += chunk.byteLength;
    if (received > limit) decoder.destroy(tooLarge(limit));
  });
  payload.once('close', () => {
    if (!payload.readableEnded) decoder.destroy(closedEarly());
  });
  try {
    const body = await collect(payload.pipe(decoder), limit, hold);
    if (!payload.readableEnded) await once(payload, 'end');
    // Node stops at the end of the first zstd frame or brotli stream and drops the rest without a word.
    if (received === decoder.bytesWritten) return body;
    const extra = received - decoder.bytesWritten;
    throw new EmpError(
      'malformed_body',
      `the encoded body goes on for ${extra} bytes after its end: send one frame`,
    );
  } finally {
    payload.unpipe(decoder);
    decoder.destroy();
  }
}

/**
 * Gathers a stream. Where the length is announced, every chunk is copied once to its place; pages of the buffer are committed by the
 * kernel as they fill, so a client that announces much and sends little costs little.
 */
async function collect(stream: Readable, limit: number, hold: Hold, announced?: number): Promise<Buffer> {
  const target = announced === undefined ? undefined : Buffer.allocUnsafeSlow(announced);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      const start = length;
      length += chunk.byteLength;
      if (length > limit) throw tooLarge(limit);
      hold.grow(chunk.byteLength);
      if (target) target.set(chunk, start);
      else chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof EmpError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_STREAM_PREMATURE_CLOSE') throw closedEarly();
    throw new EmpError('malformed_body', `the body cannot be decoded: ${message}`);
  }
  return target ?? Buffer.concat(chunks, length);
}

function tooLarge(limit: number): EmpError {
  return new EmpError(
    'payload_too_large',
    `the body is larger than ${limit} bytes, the most this form of it may have`,
  );
}

/** Of a request whose client went away in the middle. */
export function closedEarly(): EmpError {
  return new EmpError('malformed_body', 'the connection closed before the body was complete');
}
