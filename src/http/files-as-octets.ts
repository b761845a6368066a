import { EmpError } from '../core/errors.ts';

/** Of a safetensors header, how far its first tensor is looked for: a `__metadata__` may come before it. */
const LOOKED_AT_BYTES = 64 * 1024;

/** Files that are taken for scores where they are sent as octets, and what to do with each. Every mark is of seven bytes or more, which no scores begin with by chance. */
const FILES: readonly { readonly what: string; readonly advice: string; is(bytes: Buffer): boolean }[] = [
  {
    what: 'a .npy file',
    advice: 'send it as application/x-npy',
    is: (bytes) => startsWith(bytes, '\x93NUMPY') && bytes[6] >= 1 && bytes[6] <= 3 && bytes[7] === 0,
  },
  {
    what: 'a zip file, as .npz files are',
    advice: 'send each array by itself, as a .npy file of type application/x-npy',
    // A version from 1.0 to 6.3, and one of the methods stored and deflated.
    is: (bytes) =>
      startsWith(bytes, 'PK\x03\x04') &&
      bytes.byteLength >= 30 &&
      bytes[4] >= 10 &&
      bytes[4] <= 63 &&
      bytes[5] === 0 &&
      (bytes[8] === 0 || bytes[8] === 8) &&
      bytes[9] === 0,
  },
  {
    what: 'a safetensors file',
    advice: 'send the bytes of one tensor, without the header, or upload the file to /v1/datasets',
    is: isSafetensors,
  },
  {
    what: 'JSON',
    advice: 'send it as application/json',
    is: (bytes) => /^\s*\{\s*"scores"\s*:/.test(bytes.toString('latin1', 0, 100)),
  },
];

/** @throws EmpError `unsupported_media_type` where octets are no scores, but a file of another type */
export function refuseFileAsOctets(body: Uint8Array): void {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const file = FILES.find(({ is }) => is(bytes));
  if (!file) return;
  const { what, advice } = file;
  throw new EmpError(
    'unsupported_media_type',
    `Content-Type is application/octet-stream, and the body is ${what}: ${advice}`,
    [{ path: 'Content-Type', message: `the body is ${what}: ${advice}` }],
  );
}

/** A length that fits the body, and as many bytes of a JSON object with a tensor in it. */
function isSafetensors(bytes: Buffer): boolean {
  if (bytes.byteLength < 16 || bytes.readUInt32LE(4) !== 0) return false;
  const end = 8 + bytes.readUInt32LE(0);
  return (
    end <= bytes.byteLength &&
    bytes[8] === 0x7b &&
    bytes.subarray(8, Math.min(end, 8 + LOOKED_AT_BYTES)).includes('"dtype"')
  );
}

function startsWith(bytes: Buffer, mark: string): boolean {
  return bytes.toString('latin1', 0, mark.length) === mark;
}
