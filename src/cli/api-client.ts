import { createWriteStream, openAsBlob } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { flagOfField, inFlags } from './flags.ts';
import { EXIT, fileRefusal, NO_ROOM, type Place, Refusal, temporaryRefusal } from './refusal.ts';

/** What answers the API's requests: a server, or this process. */
export interface Service {
  /** As the global `fetch`, of a path. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** A folder for what is needed meanwhile; removed with the service. */
  readonly scratch: string;
  /** Whether its data lie in that folder too. */
  readonly isLocal: boolean;
}

/** What a request may bring in a part of its form. */
export interface PartFile {
  readonly part: string;
  readonly path: string;
  /** Another than that of the file. */
  readonly name?: string;
}

interface Problem {
  readonly status: number;
  readonly code?: string;
  readonly detail: string;
  readonly errors?: readonly Place[];
}

/** What a job or a search says of itself. */
interface Followed {
  readonly status: string;
  readonly error: Problem | null;
}

const ENDS = ['succeeded', 'failed', 'canceled'];
/** Of the client's making, but no fault of what it gave. */
const NOT_BAD_INPUT = [408, 409, 429];
/** Before a stream of events that broke off is asked for again. */
const AGAIN_MS = 1000;

/** For the next minute of a limit on requests. */
const PATIENCE_SECONDS = 60;

/** Calls the API; a problem becomes a `Refusal` in the words of the command line. */
export class ApiClient {
  readonly #service: Service;
  readonly #signal: AbortSignal;

  constructor(service: Service, signal: AbortSignal) {
    this.#service = service;
    this.#signal = signal;
  }

  get scratch(): string {
    return this.#service.scratch;
  }

  /** @param about what the request is of, for what is wrong with it */
  async call(path: string, init: RequestInit = {}, about = ''): Promise<Response> {
    const response = await this.#inTurn(path, init);
    if (response.ok) return response;
    const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
    const { status } = response;
    throw this.#refusalOf({ detail: `${status} from ${path}`, ...problem, status }, about);
  }

  /** Whoever asks too often a minute comes again when the server says so: what it has computed meanwhile is not lost. */
  async #inTurn(path: string, init: RequestInit): Promise<Response> {
    for (;;) {
      const response = await this.#service.fetch(path, { ...init, signal: this.#signal });
      const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
      if (response.status !== 429 || !(seconds <= PATIENCE_SECONDS)) return response;
      await response.body?.cancel();
      await sleep(1000 * seconds, undefined, { signal: this.#signal });
    }
  }

  async get<T>(path: string): Promise<T> {
    return await this.read<T>(await this.call(path, { headers: { accept: 'application/json' } }), path);
  }

  async post<T>(path: string, body: object): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    const response = await this.call(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return await this.read<T>(response, path);
  }

  /** Uploads files as parts of a form, read as they are sent. */
  async upload<T>(path: string, files: readonly PartFile[], about: string): Promise<T> {
    const form = new FormData();
    for (const { part, path, name = basename(path) } of files) form.append(part, await openFile(path), name);
    return await this.read<T>(await this.call(path, { method: 'POST', body: form }, about), path);
  }

  /** What an answer holds, as JSON. @throws Refusal where it did not come whole */
  async read<T>(response: Response, path: string): Promise<T> {
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw this.#brokenOff(error, path);
    }
  }

  /** Of an answer that did not come whole, in a line. */
  #brokenOff(error: unknown, path: string): unknown {
    if (this.#signal.aborted || error instanceof Refusal) return error;
    const reason = error instanceof SyntaxError ? 'is no JSON' : 'broke off';
    return new Refusal(EXIT.fault, `the answer to ${path} ${reason}: the server may have ended`);
  }

  /**
   * Follows a job or a search to its end.
   * @throws Refusal where it failed
   */
  async follow<T extends Followed>(path: string, show: (stage: string, percent: number) => void): Promise<T> {
    for (;;) {
      await this.#followEvents(path, show);
      const found = await this.get<T>(path);
      if (found.error) throw this.#refusalOf(found.error, '');
      if (found.status === 'canceled') throw new Refusal(EXIT.fault, 'it was canceled');
      if (ENDS.includes(found.status)) return found;
      await sleep(AGAIN_MS, undefined, { signal: this.#signal });
    }
  }

  /** Where they break off, they are asked for again. */
  async #followEvents(path: string, show: (stage: string, percent: number) => void): Promise<void> {
    const events = await this.call(`${path}/events`);
    try {
      for await (const { event, data } of readEvents(events)) {
        if (event !== 'progress') break;
        const { stage, percent } = JSON.parse(data);
        show(stage, percent);
      }
    } catch (error) {
      if (this.#signal.aborted) throw error;
    }
  }

  #refusalOf({ status, code, detail, errors = [] }: Problem, about: string): Refusal {
    const { isLocal, scratch } = this.#service;
    if (isLocal && code === 'insufficient_storage') return temporaryRefusal(dirname(scratch), NO_ROOM);
    const isInput = status >= 400 && status < 500 && !NOT_BAD_INPUT.includes(status);
    const exitCode = isInput ? EXIT.badInput : EXIT.fault;
    const lacking = lackingData(errors);
    if (lacking) return new Refusal(exitCode, `${inFlags(detail.split(': ')[0])}: give ${lacking}`);
    const places = errors.map(({ path, message }) => ({
      path: flagOfField(path),
      message: inFlags(message),
    }));
    const advice = status === 401 ? ' (emp sends the one in EMP_API_KEY)' : '';
    return new Refusal(exitCode, `${about}${about && ': '}${inFlags(detail)}${advice}`, places);
  }

  async download(url: string, path: string): Promise<void> {
    const { body } = await this.call(url);
    try {
      await mkdir(dirname(path), { recursive: true });
      await pipeline(body ? Readable.fromWeb(body as ReadableStream) : [], createWriteStream(path));
    } catch (error) {
      // A connection that breaks off is a TypeError of `fetch`.
      if (error instanceof TypeError) throw this.#brokenOff(error, url);
      throw fileRefusal(error, `cannot write ${path}`);
    }
  }
}

/** The flag of data that a recipe needs and that did not come; null where it is something else that is wrong. */
function lackingData(places: readonly Place[]): string | null {
  for (const { path, message } of places) {
    const flag = flagOfField(path);
    if (!/_dataset_id$/.test(path)) continue;
    if (message.startsWith('is missing')) return flag;
    if (message.startsWith('has no labels')) return flag === '--data' ? '--labels' : `${flag}-labels`;
  }
  return null;
}

async function openFile(path: string): Promise<Blob> {
  try {
    return await openAsBlob(path);
  } catch (error) {
    throw fileRefusal(error, `cannot read ${path}`);
  }
}

/** Server-sent events: blocks of `field: value` lines, divided by empty lines. */
async function* readEvents({ body }: Response): AsyncGenerator<{ event: string; data: string }> {
  if (!body) return;
  let event = 'message';
  let data: string[] = [];
  for await (const line of createInterface({ input: Readable.fromWeb(body as ReadableStream) })) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') };
      event = 'message';
      data = [];
    } else if (line.startsWith('event:')) event = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).trim());
  }
}
