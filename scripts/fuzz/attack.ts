/** One HTTP request, whole. */
export interface HostileRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A hostile input: what is sent, and how often at the same time. */
export interface Attack {
  /** What it is and how large, as a finding names it. */
  readonly name: string;
  readonly request: HostileRequest;
  readonly times: number;
}

export interface Part {
  readonly name: string;
  readonly content: Uint8Array | string;
  /** Absent for a text. */
  readonly filename?: string;
}

export function attack(name: string, request: HostileRequest, times = 1): Attack {
  return { name, request, times };
}

export function post(path: string, type: string, body: Uint8Array | string): HostileRequest {
  return { method: 'POST', path, headers: { 'content-type': type }, body: Buffer.from(body) };
}

/** A multipart request. */
export function postParts(path: string, parts: readonly Part[]): HostileRequest {
  const boundary = 'hostile-boundary';
  const pieces = parts.flatMap(({ name, content, filename }) => {
    const file = filename === undefined ? '' : `; filename="${filename}"`;
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${file}\r\n\r\n`;
    return [Buffer.from(head), Buffer.from(content), Buffer.from('\r\n')];
  });
  const body = Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
  return post(path, `multipart/form-data; boundary=${boundary}`, body);
}

/** An upload of a model of one file. */
export function postModel(filename: string, content: Uint8Array): HostileRequest {
  return postParts('/v1/models', [{ name: 'file', content, filename }]);
}

/** A job whose model comes with it. */
export function postJob(
  filename: string,
  content: Uint8Array,
  recipe: object,
  ...more: Part[]
): HostileRequest {
  return postParts('/v1/jobs', [
    { name: 'model', content, filename },
    { name: 'recipe', content: JSON.stringify(recipe) },
    ...more,
  ]);
}
