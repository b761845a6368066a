import { openAsBlob } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { StructureOverview } from '../../src/structure/overview.ts';

/** What the service says in place of an answer. */
export interface Refusal {
  readonly code: string;
  readonly detail: string;
}

interface JobView {
  readonly id: string;
  readonly status: 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled';
  readonly artifacts: readonly { readonly name: string; readonly url: string }[];
  readonly error: Refusal | null;
}

/** A job at its end: refused before it was accepted, failed, or its files. */
export type JobEnd =
  | { readonly status: 'refused' | 'failed'; readonly refusal: Refusal }
  | { readonly status: 'succeeded'; readonly model: Uint8Array; readonly masks: Uint8Array };

/** An answer that is no success. */
export class Refused extends Error {
  readonly refusal: Refusal;
  readonly status: number;

  constructor(status: number, refusal: Refusal) {
    super(`${refusal.code}: ${refusal.detail}`);
    this.status = status;
    this.refusal = refusal;
  }
}

/** A service as a client uses it. */
export class Service {
  readonly #baseUrl: string;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  /** Resolves to the model's id. */
  async uploadModel(path: string): Promise<string> {
    const form = new FormData();
    form.append('file', await openAsBlob(path), basename(path));
    return ((await this.#ask('/v1/models', { method: 'POST', body: form })) as { id: string }).id;
  }

  /** Samples in a folder's `inputs`, `constants` and `labels.npy`. Resolves to the dataset's id. */
  async uploadSamples(folder: string): Promise<string> {
    const form = new FormData();
    for (const part of ['inputs', 'constants']) {
      const files = await readdir(join(folder, part)).catch(() => []);
      for (const file of files) form.append(part, await openAsBlob(join(folder, part, file)), file);
    }
    form.append('labels', await openAsBlob(join(folder, 'labels.npy')), 'labels.npy');
    return ((await this.#ask('/v1/datasets', { method: 'POST', body: form })) as { id: string }).id;
  }

  async structures(modelId: string): Promise<StructureOverview> {
    return (await this.#ask(`/v1/models/${modelId}/structures`)) as StructureOverview;
  }

  /** Runs a job to its end, fetches what it made, and deletes it. */
  async run(job: object): Promise<JobEnd> {
    let view: JobView;
    try {
      view = (await this.#ask('/v1/jobs', {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=60' },
        body: JSON.stringify(job),
      })) as JobView;
    } catch (error) {
      if (!(error instanceof Refused) || error.status >= 500) throw error;
      return { status: 'refused', refusal: error.refusal };
    }
    while (view.status === 'queued' || view.status === 'running')
      view = (await this.#ask(`/v1/jobs/${view.id}`)) as JobView;
    const end = await this.#endOf(view);
    await this.#ask(`/v1/jobs/${view.id}`, { method: 'DELETE' });
    return end;
  }

  async #endOf({ status, error, artifacts }: JobView): Promise<JobEnd> {
    if (status !== 'succeeded' || error)
      return { status: 'failed', refusal: error ?? { code: status, detail: '' } };
    const fetchFile = async (pattern: RegExp) => {
      const url = artifacts.find(({ name }) => pattern.test(name))?.url;
      return await (await fetch(this.#baseUrl + url)).bytes();
    };
    return { status, model: await fetchFile(/\.onnx$/), masks: await fetchFile(/^masks\.safetensors$/) };
  }

  async #ask(path: string, init: RequestInit = {}): Promise<unknown> {
    const response = await fetch(this.#baseUrl + path, init);
    if (response.ok) return response.status === 204 ? null : await response.json();
    throw new Refused(response.status, (await response.json()) as Refusal);
  }
}
