import { askForKey, currentKey } from './api-key.ts';
import { markAnswered, whenToRetry } from './connection.ts';

/** What the server says of a request that it does not do. */
export class ApiError extends Error {
  readonly status: number;
  /** What is wrong with which field. */
  readonly findings: readonly string[];
  constructor(status: number, detail: string, findings: readonly string[] = []) {
    super(detail);
    this.status = status;
    this.findings = findings;
  }
}

/** The server, or the way to it, is away. */
export class UnreachableError extends Error {
  constructor() {
    super('The server does not answer. Nothing was lost: try again.');
  }
}

/** What a proxy says for a server that is away, and a server that is about to end. */
const AWAY: readonly number[] = [502, 503, 504];

/**
 * One request, with the key where there is one; asks for a key where the server wants it.
 * @throws ApiError, UnreachableError; the reason of `signal`
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  for (;;) {
    const key = currentKey();
    const headers = new Headers(init.headers);
    if (key !== null) headers.set('authorization', `Bearer ${key}`);
    const response = await fetch(path, { ...init, headers }).catch(() => {
      init.signal?.throwIfAborted();
      throw new UnreachableError();
    });
    if (!AWAY.includes(response.status)) markAnswered();
    if (response.ok) return response;
    const error = errorOf(response.status, await response.text());
    if (response.status !== 401) throw error;
    await askForKey(key, error.message);
    init.signal?.throwIfAborted();
  }
}

/** Whether to try again may help. */
export function isPassing(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof ApiError && AWAY.includes(error.status));
}

/**
 * What a GET answers, as JSON. Where the server is away it is asked again, as long as it takes.
 * @throws ApiError; the reason of `signal`
 */
export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      const response = await request(path, {
        headers: { accept: 'application/json' },
        ...(signal && { signal }),
      });
      return await response.json();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isPassing(error)) throw error;
    }
    await whenToRetry();
  }
}

/** @throws ApiError, UnreachableError */
export async function post<T>(path: string, body?: unknown): Promise<T> {
  const json = {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  };
  return (await request(path, { method: 'POST', ...(body !== undefined && json) })).json();
}

/**
 * Sends a form, and tells how much of it has gone: `fetch` does not.
 * @param onProgress hears shares from 0 to 1
 * @throws ApiError, UnreachableError
 */
export async function upload<T>(
  path: string,
  form: FormData,
  onProgress: (share: number) => void,
): Promise<T> {
  for (;;) {
    const key = currentKey();
    const { status, text } = await send(path, form, key, onProgress);
    markAnswered();
    if (status >= 200 && status < 300) return JSON.parse(text);
    const error = errorOf(status, text);
    if (status !== 401) throw error;
    await askForKey(key, error.message);
  }
}

function send(path: string, form: FormData, key: string | null, onProgress: (share: number) => void) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const sending = new XMLHttpRequest();
  sending.open('POST', path);
  if (key !== null) sending.setRequestHeader('authorization', `Bearer ${key}`);
  sending.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
  sending.onload = () => resolve({ status: sending.status, text: sending.responseText });
  sending.onerror = () => reject(new UnreachableError());
  sending.send(form);
  return promise;
}

function errorOf(status: number, text: string): ApiError {
  try {
    const { detail, errors = [] } = JSON.parse(text);
    const findings = (errors as { path: string; message: string }[]).map(
      ({ path, message }) => `${path.replace(/^\//, '')} ${message}`,
    );
    return new ApiError(status, String(detail), findings);
  } catch {
    return new ApiError(status, `The server answered ${status}.`);
  }
}
