import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteSource } from './byte-source.ts';

export interface FileSource extends ByteSource, AsyncDisposable {}

/** Opens a file for reading by range. Close it with `await using` or `[Symbol.asyncDispose]()`. */
export async function openFileSource(path: string): Promise<FileSource> {
  const handle: FileHandle = await open(path, 'r');
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async read(start, end) {
      if (start < 0 || end > size || start > end)
        throw new RangeError(`range ${start}-${end} of ${size} bytes`);
      const bytes = new Uint8Array(end - start);
      let done = 0;
      while (done < bytes.byteLength) {
        const { bytesRead } = await handle.read(bytes, done, bytes.byteLength - done, start + done);
        if (bytesRead === 0) throw new RangeError(`file ended at ${start + done}, expected ${end}`);
        done += bytesRead;
      }
      return bytes;
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

/** Opens files of a folder by their names there, in order; `opened` closes them. */
export async function openFiles(
  directory: string,
  names: readonly string[],
  opened: AsyncDisposableStack,
): Promise<Map<string, FileSource>> {
  const files = new Map<string, FileSource>();
  for (const name of names) files.set(name, opened.use(await openFileSource(join(directory, name))));
  return files;
}
