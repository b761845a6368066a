import { createReadStream } from 'node:fs';
import tar from 'tar-stream';
import { type ArchiveEntry, asArchiveError } from './archive-entry.ts';

/**
 * The entries of an uncompressed tar file (ustar, pax, GNU).
 * @throws EmpError malformed_archive
 */
export async function* readTarEntries(path: string): AsyncGenerator<ArchiveEntry> {
  const extract = tar.extract();
  const file = createReadStream(path);
  file.on('error', (error) => extract.destroy(error));
  file.pipe(extract);
  try {
    for await (const entry of extract) {
      const { name, type } = entry.header;
      yield {
        name,
        type: type === 'contiguous-file' ? 'file' : (type ?? 'an unknown kind of entry'),
        open: () => readContent(entry, name),
      };
      entry.resume();
    }
  } catch (error) {
    throw asArchiveError(error);
  } finally {
    extract.destroy();
    file.destroy();
  }
}

async function* readContent(entry: AsyncIterable<unknown>, name: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of entry) yield chunk as Uint8Array;
  } catch (error) {
    throw asArchiveError(error, name);
  }
}
