import { readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

const KERNEL = new URL('../src/core/kernel/', import.meta.url);

/** The files whose exports are the kernel's; they import the others. */
const ENTRIES = ['layout', 'load', 'summarize', 'select-top', 'keep-bits', 'zero-dropped'];

/** Compiles the kernel's AssemblyScript. The same source and compiler give the same bytes. Throws with the compiler's messages. */
export async function compileKernel(): Promise<Uint8Array> {
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [
      ...ENTRIES.map((name) => `${name}.ts`),
      ...['--outFile', 'kernel.wasm', '-O3', '--converge', '--noAssert'],
      ...['--runtime', 'stub', '--use', 'abort=', '--enable', 'simd,bulk-memory'],
    ],
    {
      readFile: (name) => {
        try {
          return readFileSync(new URL(`assembly/${name}`, KERNEL), 'utf8');
        } catch {
          return null; // the compiler probes several names for an import
        }
      },
      writeFile: (_name, contents) => {
        if (contents instanceof Uint8Array) wasm = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !wasm) throw new Error(`the kernel did not compile: ${error?.message}\n${stderr.toString()}`);
  return wasm;
}

if (import.meta.main) writeFileSync(new URL('kernel.wasm', KERNEL), await compileKernel());
