import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const ENCODINGS = ['br', 'gzip'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Something that the page is made of, as it is sent. */
export interface Asset {
  readonly type: string;
  readonly plain: Uint8Array;
  readonly encoded: Readonly<Record<Encoding, Uint8Array>>;
  /** Changes with the content, whichever encoding is sent. */
  readonly etag: string;
}

export interface PageAssets {
  readonly document: Asset;
  /** By the names under `/assets/`, which hold a hash of the content. */
  readonly files: ReadonlyMap<string, Asset>;
  /** The files that it was bundled of, as the bundler names them. */
  readonly sources: readonly string[];
}

const FOLDER = new URL('../web/', import.meta.url);
/** The package holds what the compiler made of the sources. */
const ENTRY = `front-page.${import.meta.url.endsWith('.ts') ? 'tsx' : 'js'}`;
const STYLE = 'front-page.css';
const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
};
const COMPRESS: Readonly<Record<Encoding, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  br: (bytes) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }),
  gzip: (bytes) => promisify(gzip)(bytes, { level: 9 }),
};

let bundled: Promise<PageAssets> | null = null;

/** The page, bundled once in a process. The bundler is a child process for as long as that takes. */
export function pageAssets(): Promise<PageAssets> {
  bundled ??= bundle().catch((error) => {
    bundled = null;
    throw error;
  });
  return bundled;
}

/** What a client takes of the encodings that there are; null for none. */
export function acceptedEncoding(header = ''): Encoding | null {
  const accepted = header
    .toLowerCase()
    .split(',')
    .filter((part) => !/;\s*q=0(\.0*)?\s*$/.test(part))
    .map((part) => part.split(';')[0].trim());
  return ENCODINGS.find((name) => accepted.includes(name)) ?? null;
}

async function bundle(): Promise<PageAssets> {
  const { build, stop } = await import('esbuild');
  try {
    const { outputFiles, metafile } = await build({
      absWorkingDir: fileURLToPath(FOLDER),
      entryPoints: [ENTRY, STYLE],
      outdir: 'assets',
      entryNames: '[name]-[hash]',
      chunkNames: '[name]-[hash]',
      bundle: true,
      minify: true,
      // The chart is loaded once there is something to draw.
      splitting: true,
      format: 'esm',
      target: 'es2022',
      jsx: 'automatic',
      jsxImportSource: 'preact',
      tsconfigRaw: '{}',
      metafile: true,
      write: false,
      logLevel: 'silent',
    });
    const files = new Map<string, Asset>();
    for (const { path, contents } of outputFiles) {
      const name = basename(path);
      files.set(name, await assetOf(TYPES[name.split('.').at(-1) ?? ''], contents));
    }
    const outputs = Object.entries(metafile.outputs);
    const nameOf = (entry: string) =>
      basename(outputs.find(([, { entryPoint }]) => entryPoint === entry)?.[0] ?? '');
    const document = documentOf(nameOf(ENTRY), nameOf(STYLE));
    return {
      document: await assetOf('text/html; charset=utf-8', new TextEncoder().encode(document)),
      files,
      sources: Object.keys(metafile.inputs),
    };
  } finally {
    await stop();
  }
}

async function assetOf(type: string, plain: Uint8Array): Promise<Asset> {
  const [br, gzip] = await Promise.all(ENCODINGS.map((encoding) => COMPRESS[encoding](plain)));
  const etag = `W/"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
  return { type, plain, encoded: { br, gzip }, etag };
}

function documentOf(script: string, style: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="How much of this model can be thrown away?">
<title>Effective Model Pruning</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%230b6a9c' d='M1 1h4v14H1zM6 5h4v10H6zM11 10h4v5h-4z'/%3E%3C/svg%3E">
<link rel="stylesheet" href="/assets/${style}">
<script type="module" src="/assets/${script}"></script>
</head>
<body>
<noscript><p>This page needs JavaScript. The service can be used without it: <a href="/docs">documentation of the API</a>.</p></noscript>
<div id="page"></div>
</body>
</html>
`;
}
