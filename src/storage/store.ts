import type { Readable } from 'node:stream';

/** What the service keeps, each under an id: a record, JSON documents beside it, and files. */
export type Kind = 'models' | 'datasets' | 'jobs' | 'searches';

/** The least that every record says of itself. */
export interface StoredRecord {
  readonly id: string;
  readonly created_at: string;
}

export interface Page<T> {
  readonly data: T[];
  readonly next_cursor: string | null;
}

/** Files on their way into the store, in a folder of this process. They become visible whole, or not at all. */
export interface Upload {
  /** What is put here is published beside the files, as documents. Room, too, for what is under way, to be gone by then. */
  readonly directory: string;
  /** What is put here becomes the resource's files. Exists, and is empty. */
  readonly files: string;
  /** To be told the whole of what is about to come, where that is known. Rejects with `quota_exceeded` where it would be more than may be stored, and as `ensureRoom`. */
  announce(byteLength: number): Promise<void>;
  /** To be asked before bytes are written. Rejects with `quota_exceeded` where they are more than may be stored, and with `insufficient_storage` where so many more would use up what is kept for the results of jobs. */
  ensureRoom(byteLength: number): Promise<void>;
  /** Adds a document, published with the files. */
  writeJson(name: string, value: unknown): Promise<void>;
  /** Removes what was not published. */
  discard(): Promise<void>;
}

/** A resource's files as a local folder, to be read only. Dispose of it when done. */
export interface Checkout extends AsyncDisposable {
  readonly directory: string;
}

/** Reads a document of one resource; null where it has none of that name. */
export type ReadDocument = <T>(name: string) => Promise<T | null>;

/** Whether somebody has come to need what is gone, by what was noted of it. */
export type IsNeeded = (readGone: ReadDocument) => Promise<boolean>;

/** Bytes `[start, end]`, both inclusive as in HTTP. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/** What is decided once and for all: how a job or a search ended, a document of its own; and which job an idempotency key, or a use of samples, here their hash, stands for. What a tenant keeps in a place of its own, a secret, may be withdrawn. */
export type Question =
  | { readonly kind: 'jobs' | 'searches'; readonly id: string; readonly name: string }
  | { readonly kind: 'idempotency' | 'secrets'; readonly id: string };

/**
 * Where everything that must outlive a process is kept, shared by all processes of the service. On return, what was written survives a crash.
 *
 * Content is written once: files are published whole and never changed, and only small documents are replaced. Records are read by key,
 * or listed in order of time: a page costs the page, and `listUnfinished` the unfinished, however much there is besides.
 *
 * Deliberately not in it: paths (what needs a local file checks it out), locks and transactions (`decideOnce` alone needs an atomic
 * create), queries by anything but key and time, a change of what was published, and whose it is: who keeps apart, opens several.
 */
export interface Store {
  /** What a child process opens the same store by; nothing that a client should see. */
  readonly root: string;

  createUpload(): Promise<Upload>;
  /**
   * Makes an upload the resource `record.id`. When that id exists already (the same content, or a retry), the upload is discarded and
   * the existing record returned.
   */
  publish<T extends StoredRecord>(
    kind: Kind,
    upload: Upload,
    record: T,
  ): Promise<{ record: T; created: boolean }>;
  /**
   * Gives a resource that has no files those of the upload; of several who do so the first is heard. False when it has some; the upload
   * is then discarded.
   */
  publishFiles(kind: Kind, id: string, upload: Upload): Promise<boolean>;
  /**
   * Removes a resource; false when it was not there. It disappears at once, its bytes soon after.
   * @param isNeeded asked once it has disappeared, with what was noted of it until then: what somebody has come to need is there again, and `needed` is returned
   */
  remove(kind: Kind, id: string): Promise<boolean>;
  remove(kind: Kind, id: string, isNeeded: IsNeeded): Promise<boolean | 'needed'>;

  readRecord<T extends StoredRecord>(kind: Kind, id: string): Promise<T | null>;
  /** Records, newest first: at most `limit`, fewer where they are large. `cursor` is the `next_cursor` of the page before. */
  listRecords<T extends StoredRecord>(kind: Kind, limit: number, cursor?: string): Promise<Page<T>>;
  /** Ids and times in the same order, without the records: it costs their names, and a crash may have left one of nothing, or of another time than the record's. */
  listEntries(kind: Kind, cursor?: string): AsyncIterable<StoredRecord>;

  /** The text of a document; null when it is not there. */
  readText(kind: Kind, id: string, name: string): Promise<string | null>;
  /** A document of a resource; null when the resource or the document is not there. */
  readJson<T>(kind: Kind, id: string, name: string): Promise<T | null>;
  /** A document as it was written, as a stream; null when the resource or the document is not there. */
  openDocument(kind: Kind, id: string, name: string): Promise<Readable | null>;
  /** Replaces a document of a resource at once; of several writers the last stands. Rejects with code `ENOENT` where there is no such resource. */
  writeText(kind: Kind, id: string, name: string, text: string): Promise<void>;
  /**
   * Answers a question for good, in all processes: of several answers the first stands.
   * @returns the answer that stands
   */
  decideOnce(question: Question, answer: string): Promise<string>;
  /** The answer that stands; null where none has been given. */
  readAnswer(question: Question): Promise<string | null>;
  /** Takes an answer back, after which there may be another; false where none has been given. */
  withdrawAnswer(question: Question): Promise<boolean>;

  /** A file of a resource, or a range of it. The stream's error has code `ENOENT` where it is not there. */
  readFile(kind: Kind, id: string, name: string, range?: FileRange): Readable;
  /** The files of a resource that is there. */
  checkOut(kind: Kind, id: string): Promise<Checkout>;

  /** Notes that a job, or a search, needs looking after, and what it reads, before it is published; to do so twice is no error. */
  addUnfinished(id: string, needs?: readonly string[]): Promise<void>;
  /** Forgets it when its end has been decided. A crash between the two leaves an id of a job that has ended, or never was. @param needs looked for where it is not given */
  removeUnfinished(id: string, needs?: readonly string[]): Promise<void>;
  /** When it was last noted as unfinished, in milliseconds; null where it is not. */
  unfinishedSince(id: string): Promise<number | null>;
  /** Oldest first. */
  listUnfinished(): Promise<string[]>;
  /** Notes that somebody is to be told of a job, or a search, before it is published; to do so twice is no error. */
  addUntold(id: string): Promise<void>;
  /** Forgets it when all has been told. */
  removeUntold(id: string): Promise<void>;
  /** Oldest first. */
  listUntold(): Promise<string[]>;
  /** The ids noted of those that read a resource, in no order; the first costs the same however many there are. */
  listNeeding(resourceId: string): AsyncIterable<string>;

  /** Removes what processes that are gone have left half-made. */
  sweep(): Promise<void>;

  /** What the files of all that is stored take, in bytes. */
  storedBytes(): Promise<number>;
  /** The same, and what is on its way, or announced. */
  usedBytes(): Promise<number>;
  /** What can still be written, in bytes. */
  freeBytes(): Promise<number>;
  /**
   * Rejects when a few kilobytes cannot be written.
   * @throws EmpError insufficient_storage where the room left is too little to work with
   */
  ping(): Promise<void>;
  close(): Promise<void>;
}
