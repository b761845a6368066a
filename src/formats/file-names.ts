/** Names of files that are to lie in one folder, with forward slashes between the folders in it. */
export class FileNames {
  readonly #files = new Set<string>();
  /** Each folder, and a file that is in it. */
  readonly #folders = new Map<string, string>();

  /** Of the files and the folders that they are in. */
  get size(): number {
    return this.#files.size + this.#folders.size;
  }

  /** Adds a name. Returns the one that it cannot lie beside, itself where it is there already; null where there is none. */
  add(name: string): string | null {
    const other = this.#files.has(name) ? name : this.#folders.get(name);
    if (other !== undefined) return other;
    const parents: string[] = [];
    for (let end = name.indexOf('/'); end >= 0; end = name.indexOf('/', end + 1)) {
      const parent = name.slice(0, end);
      if (this.#files.has(parent)) return parent;
      parents.push(parent);
    }
    this.#files.add(name);
    for (const parent of parents) this.#folders.set(parent, name);
    return null;
  }
}
