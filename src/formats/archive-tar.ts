import { createReadStream } from 'node:fs';
import tar from 'tar-stream';
import type { ArchiveEntry } from './archive-entry.ts';

/** The entries of an uncompressed tar file (ustar, pax, GNU). Throws errors of the library. */
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
        open: () => entry as AsyncIterable<Uint8Array>,
      };
      entry.resume();
    }
  } finally {
    extract.destroy();
    file.destroy();
  }
}
