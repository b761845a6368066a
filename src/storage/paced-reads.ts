import { close, createReadStream, open, type ReadStream, read } from 'node:fs';
import { promisify } from 'node:util';
import { isCode } from './durable-files.ts';

/** Together some milliseconds of the loop's time, once their bytes are there: each is copied to a connection. Twice the threads that read. */
const AT_ONCE = 8;
/** A gigabyte is 4,000 turns of the event loop, not 16,000; a reader that stands still holds two of them. */
const READ_BYTES = 256 * 1024;

type Done = (error: NodeJS.ErrnoException | null, byteLength: number, buffer: Buffer) => void;

const waiting: (() => void)[] = [];
let underWay = 0;

/** As `fs.read`, in turn: of a thousand streams that want their next piece at once all would be served in one turn of the loop, and whatever else needs the thread pool would wait behind them. */
function readInTurn(
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number | null,
  done: Done,
): void {
  const begin = () => {
    underWay++;
    read(fd, buffer, offset, length, position, (...result) => {
      underWay--;
      waiting.shift()?.();
      done(...result);
    });
  };
  if (underWay < AT_ONCE) begin();
  else waiting.push(begin);
}

const PACED = { highWaterMark: READ_BYTES, fs: { open, read: readInTurn, close } };

/** A file, or bytes `[start, end]` of it, as a stream that leaves room for others. Its error has code `ENOENT` where there is none. */
export function streamFile(path: string, range: { start?: number; end?: number } = {}): ReadStream {
  return createReadStream(path, { ...range, ...PACED });
}

/** As `streamFile`, opened; null where there is none. */
export async function openIfThere(path: string): Promise<ReadStream | null> {
  try {
    return createReadStream(path, { fd: await promisify(open)(path, 'r'), ...PACED });
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}
