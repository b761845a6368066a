import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { placeNewDatabase } from './new-database.ts';

/** Without parameters, a script of any number of statements, of which the last one's rows are told. */
export interface Statement {
  readonly text: string;
  readonly parameters?: readonly unknown[] | undefined;
  /** Statements that have made the session what it is; a thread that has not run them runs them first. */
  readonly session: readonly string[];
  /** The thread that it is for, null for none that is known: another has not been prepared, and does nothing. */
  readonly thread: number | null;
}

export interface Rows {
  readonly rows: unknown[];
  readonly rowCount: number;
}

/** What a database says of a statement. An error would lose its SQLSTATE on the way. */
export type StatementReply = Rows | { readonly error: StatementError } | OtherThread;

/** What a thread says that a statement is not for: which one it is. */
export interface OtherThread {
  readonly thread: number;
}

export interface StatementError extends Record<string, unknown> {
  readonly message: string;
  /** Whether the thread ends for it. */
  readonly isFatal: boolean;
}

export interface Notification {
  readonly channel: string;
  readonly payload: string;
}

/** Nobody else makes checkpoints in a PostgreSQL without processes of its own, and without them its log only grows. */
const CHECKPOINT_MS = 60_000;
/** PostgreSQL goes on with the files that it has open, also where nobody will find them again. */
const LOOK_MS = 2000;
/** SQLSTATEs of a database that had no room or met what it should not, and what the system says where it cannot be opened: as a server's process would, it begins anew. No code is WebAssembly's. */
const FATAL = /^(53|58|F0|XX|E[A-Z])/;

/** What a queue of thousands of messages needs; PostgreSQL's own 128 MB are touched at its start. */
const SMALL = ['-c', 'shared_buffers=4MB'];

const opening = open();
// Told by the first statement.
opening.catch(() => {});
const prepared = new Set<string>();

async function open(): Promise<PGlite> {
  const folder = workerData as string;
  await placeNewDatabase(folder);
  const database = await PGlite.create(folder, { startParams: [...PGlite.defaultStartParams, ...SMALL] });
  database.onNotification((channel, payload) => {
    parentPort?.postMessage({ channel, payload } satisfies Notification);
  });
  setInterval(() => void database.exec('CHECKPOINT').catch(endIfFatal), CHECKPOINT_MS).unref();
  setInterval(() => void access(join(folder, 'PG_VERSION')).catch(endIfFatal), LOOK_MS).unref();
  return database;
}

/** The thread's side of `EmbeddedDatabase`: a PostgreSQL of one session, stored in the folder that is the thread's data. */
export default async function run({ text, parameters, session, thread }: Statement): Promise<StatementReply> {
  try {
    const database = await opening;
    if (thread !== threadId) return { thread: threadId };
    for (const statement of session) {
      if (prepared.has(statement)) continue;
      await database.exec(statement);
      prepared.add(statement);
    }
    // Only the simple protocol takes several statements.
    const result =
      parameters === undefined
        ? (await database.exec(text)).at(-1)
        : await database.query(text, [...parameters]);
    return { rows: result?.rows ?? [], rowCount: result?.affectedRows ?? 0 };
  } catch (error) {
    const isFatal = endIfFatal(error);
    const { message, code, severity, detail, constraint } = (
      error instanceof Error ? error : new Error(`the database's file system fails: ${inspect(error)}`)
    ) as Error & Record<string, unknown>;
    return { error: { message, isFatal, code, severity, detail, constraint } };
  }
}

/** Writes what is not on the disk yet. */
export async function close(): Promise<void> {
  await (await opening).close();
}

/** Ends the thread, after what it has to say: the next statement is another's. */
function endIfFatal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && !FATAL.test(code)) return false;
  setImmediate(() => process.exit(1));
  return true;
}
