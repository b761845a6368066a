import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ONNX = new URL('../src/formats/onnx/', import.meta.url);
const PACKAGES = new URL('../node_modules/@bufbuild/', import.meta.url);
const BUF = fileURLToPath(new URL('buf/bin/buf', PACKAGES));
const GENERATOR = fileURLToPath(new URL('protoc-gen-es/bin/protoc-gen-es', PACKAGES));

/** What a model file can hold, and the numbers of data types, which no field names. Enumerations that tell of ONNX's own releases go. */
const TYPES = ['onnx.ModelProto', 'onnx.TensorProto.DataType'];

const HEAD = `// Made of onnx.proto by \`npm run build:onnx-schema\`; a test makes it again and compares. Not edited by hand.
// It has more lines than a file of ours may have: one for each field of ONNX. What they mean is said in onnx.proto.
`;

/** Compiles \`onnx.proto\` to TypeScript that Node runs as it is. Throws with the compiler's messages. */
export function generateOnnxSchema(): string {
  const folder = mkdtempSync(join(tmpdir(), 'onnx-schema-'));
  try {
    const plugin = {
      local: [process.execPath, GENERATOR],
      out: '.',
      opt: ['target=ts', 'erasable_syntax=true'],
    };
    const template = JSON.stringify({ version: 'v2', plugins: [plugin] });
    execFileSync(process.execPath, [
      ...[BUF, 'generate', '--template', template, '--output', folder],
      ...TYPES.flatMap((type) => ['--type', type]),
      fileURLToPath(new URL('onnx.proto', ONNX)),
    ]);
    return HEAD + withoutComments(readFileSync(join(folder, 'onnx_pb.ts'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The comments are those of the .proto file, which lies beside it: five lines in six. */
function withoutComments(generated: string): string {
  return generated
    .replaceAll(/^ *\/\*\*.*?\*\/\n/gms, '')
    .replaceAll(/^\/\/.*\n|^\/\* eslint-disable \*\/\n/gm, '')
    .replaceAll(/ = \/\*@__PURE__\*\/\n +/g, ' = ')
    .replaceAll(/\n{2,}/g, '\n')
    .replace(/^\n+/, '');
}

if (import.meta.main) writeFileSync(new URL('onnx-schema.ts', ONNX), generateOnnxSchema());
