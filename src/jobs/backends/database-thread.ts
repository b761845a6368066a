import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';

/** Without parameters, a script of any number of statements, of which the last one's rows are told. */
export interface Statement {
  readonly text: string;
  readonly parameters?: readonly unknown[] | undefined;
}

export interface Rows {
  readonly rows: readonly unknown[];
  readonly rowCount: number;
}

/** What a database says of a statement. An error would lose its SQLSTATE on the way. */
export type StatementReply = Rows | { readonly error: { message: string } & Record<string, unknown> };

export interface Notification {
  readonly channel: string;
  readonly payload: string;
}

const opening = PGlite.create(workerData as string).then((database) => {
  database.onNotification((channel, payload) => {
    parentPort?.postMessage({ channel, payload } satisfies Notification);
  });
  return database;
});
// Told by the first statement.
opening.catch(() => {});

/** The thread's side of `EmbeddedDatabase`: a PostgreSQL of one session, stored in the folder that is the thread's data. */
export default async function run({ text, parameters }: Statement): Promise<StatementReply> {
  try {
    const database = await opening;
    // Only the simple protocol takes several statements.
    const result =
      parameters === undefined
        ? (await database.exec(text)).at(-1)
        : await database.query(text, [...parameters]);
    return { rows: result?.rows ?? [], rowCount: result?.affectedRows ?? 0 };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code, severity, detail, constraint } = error as Error & Record<string, unknown>;
    return { error: { message: error.message, code, severity, detail, constraint } };
  }
}

/** Writes what is not on the disk yet. */
export async function close(): Promise<void> {
  await (await opening).close();
}
