import { dirname, join, normalize } from 'node:path';

const IMPORTS = [
  /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^\s*import\s*['"]([^'"]+)['"]/gm,
  /\bimport\(\s*['"]([^'"]+)['"]/g,
  /\bnew URL\(\s*['"](\.[^'"]+\.ts)['"]/g,
];

/** What a file imports, exports from elsewhere, loads later by a literal, or names as the file of a thread or a child. */
export function readImports(text: string): string[] {
  return IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)].map(([, imported]) => imported));
}

/** The path from the root, with forward slashes; null for a package or a module of Node's. */
export function resolveImport(from: string, imported: string): string | null {
  return imported.startsWith('.') ? normalize(join(dirname(from), imported)).replaceAll('\\', '/') : null;
}
