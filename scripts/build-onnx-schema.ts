import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = 'src/formats/onnx';
const SCHEMA = `${FOLDER}/onnx-schema.ts`;
const [BUF, GENERATOR, BIOME] = [
  ...['@bufbuild/buf/bin/buf', '@bufbuild/protoc-gen-es/bin/protoc-gen-es', '@biomejs/biome/bin/biome'],
].map((path) => join(ROOT, 'node_modules', path));

/** What a model file can hold, and the numbers of data types, which no field names. Enumerations that tell of ONNX's own releases go. */
const TYPES = ['onnx.ModelProto', 'onnx.TensorProto.DataType'];

const HEAD = `// Made of onnx.proto by \`npm run build:onnx-schema\`, a line for every type; a test makes it again and compares. Not edited by hand.
// biome-ignore-all format: nobody reads it; what fields mean is said in onnx.proto
`;

/** Compiles `onnx.proto` to TypeScript that Node runs as it is. Throws with the compiler's messages. */
export function generateOnnxSchema(): string {
  const output = mkdtempSync(join(tmpdir(), 'onnx-schema-'));
  try {
    const local = [process.execPath, GENERATOR];
    const plugin = { local, out: '.', opt: ['target=ts', 'erasable_syntax=true'] };
    run(BUF, [
      ...['generate', '--template', JSON.stringify({ version: 'v2', plugins: [plugin] }), '--output', output],
      ...TYPES.flatMap((type) => ['--type', type]),
      `${FOLDER}/onnx.proto`,
    ]);
    const generated = readFileSync(join(output, 'onnx_pb.ts'), 'utf8');
    return run(BIOME, ['check', '--write', `--stdin-file-path=${SCHEMA}`], HEAD + onLines(generated));
  } finally {
    rmSync(output, { recursive: true });
  }
}

/** A statement a line, without the comments, which are those of the .proto file beside it. */
function onLines(generated: string): string {
  return generated
    .replaceAll(/\/\*.*?\*\/|^\/\/[^\n]*/gms, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim()
    .replaceAll(/ (?=(?:import|export) )/g, '\n')
    .concat('\n');
}

function run(program: string, args: readonly string[], input = ''): string {
  return execFileSync(process.execPath, [program, ...args], { cwd: ROOT, input, encoding: 'utf8' });
}

if (import.meta.main) writeFileSync(join(ROOT, SCHEMA), generateOnnxSchema());
