import { cursorAfter } from './ids.ts';
import type { Page, StoredRecord } from './store.ts';

/** Reading a record is one small file; more at once only crowds the thread pool. */
const CONCURRENT_READS = 16;
/** Characters of records after which a page ends: a record can name thousands of files. */
const PAGE_SIZE = 1 << 20;

/**
 * A page of records in the order of `entries`, which may name what is not there.
 * @param read gives the JSON of a record, null where it is not there
 */
export async function readPage<T extends StoredRecord>(
  entries: AsyncIterator<StoredRecord, void>,
  read: (id: string) => Promise<string | null>,
  limit: number,
): Promise<Page<T>> {
  const data: T[] = [];
  let size = 0;
  let isFull = false;
  for (let done = false; !done && !isFull; ) {
    const batch: StoredRecord[] = [];
    while (!done && batch.length < Math.min(CONCURRENT_READS, limit + 1 - data.length)) {
      const next = await entries.next();
      if (next.value) batch.push(next.value);
      done = next.done === true;
    }
    const texts = await Promise.all(batch.map(({ id }) => read(id)));
    for (const [i, text] of texts.entries()) {
      const record: T | null = JSON.parse(text ?? 'null');
      // A crash may have left an entry of nothing, or of a time that is not the record's.
      if (!record || record.created_at !== batch[i]?.created_at) continue;
      isFull ||= data.length >= limit || size >= PAGE_SIZE;
      if (!isFull) data.push(record);
      size += text?.length ?? 0;
    }
  }
  const last = data.at(-1);
  return { data, next_cursor: last && isFull ? cursorAfter(last) : null };
}
