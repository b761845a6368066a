import { constants } from 'node:fs';
import { appendFile, chmod, copyFile, link, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { EmpError, ofInput } from '../core/errors.ts';
import { GraphProtoSchema, ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { GraphBuilder } from './graph-builder.ts';
import type { OnnxModel, OnnxNode } from './onnx-model.ts';
import { freePrefix } from './proto-walk.ts';

/** Before it, Cast took the name of a type and Reshape its shape as an attribute. */
const MIN_OPSET = 6;

/**
 * Nodes, inputs and outputs to be added to a model's main graph, in standard operators of the model's own version. Protobuf merges messages
 * that follow each other, so that these bytes behind the `.onnx` file's are the whole edit, however large the file is.
 */
export class GraphAppendix extends GraphBuilder {
  readonly #model: OnnxModel;
  readonly #brought = new Set<OnnxNode>();

  /** Throws as `checkAppendable` does. */
  constructor(model: OnnxModel) {
    checkAppendable(model);
    const { proto, opset } = model;
    const graph = create(GraphProtoSchema);
    super(graph, freePrefix(proto.graph ?? graph, 'emp_'), opset, 'nodes');
    this.#model = model;
  }

  override nodes(...[op, inputs, ...rest]: Parameters<GraphBuilder['nodes']>): string[] {
    for (const name of inputs) if (name !== null) this.#bring(name);
    return super.nodes(op, inputs, ...rest);
  }

  /** Adds the nodes that compute a value which the file's own graph lacks, as what a fused operator computes on its way. */
  #bring(name: string): void {
    const producer = this.#model.graph.find(name)?.producer;
    if (!producer || !this.#model.added.has(producer.proto) || this.#brought.has(producer)) return;
    this.#brought.add(producer);
    for (const input of producer.inputs) if (input) this.#bring(input.name);
    this.graph.node.push(producer.proto);
  }

  toBytes(): Uint8Array {
    return toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph: this.graph }));
  }
}

/** Throws `unsupported_model` for standard operators older than version 6. */
export function checkAppendable({ opset }: Pick<OnnxModel, 'opset'>): void {
  if (opset >= MIN_OPSET) return;
  const reason = `uses ONNX operators of version ${opset}, and its activations can be captured from version ${MIN_OPSET} on`;
  throw new EmpError('unsupported_model', `the model ${reason}; export it again`, [ofInput('model', reason)]);
}

/**
 * Writes the model below `target` with `appendix` behind its `.onnx` file; files of external data are linked, or copied where links are not
 * possible. Returns the `.onnx` file's path.
 */
export async function writeAppended(
  { directory, inventory }: StoredModel,
  appendix: Uint8Array,
  target: string,
): Promise<string> {
  let path = '';
  for (const file of inventory.files) {
    const [from, to] = [join(directory, file), join(target, file)];
    await mkdir(dirname(to), { recursive: true });
    if (!file.endsWith('.onnx')) {
      await link(from, to).catch(() => copyFile(from, to, constants.COPYFILE_FICLONE));
      continue;
    }
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    await chmod(to, 0o600); // a copy of a read-only file is read-only
    await appendFile(to, appendix);
    path = to;
  }
  return path;
}
