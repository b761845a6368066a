import fc from 'fast-check';
import type { NodeProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { encode, floats, graph, integers, model, node } from '../../../test/models/build-model.ts';
import { hostileSamples } from '../../../test/models/hostile-models.ts';
import { type Attack, attack, postJob, postModel } from '../attack.ts';
import { logarithmic, names, product } from './sizes.ts';

/** A node is some twenty bytes. */
const nodes = logarithmic(1e3, 1e5);
/** Where many nodes read one value, onnxruntime takes the square of their number to open the model. */
const fan = logarithmic(1e3, 1e4);

function whole(inner: readonly NodeProto[], first: string, last: string): Uint8Array {
  return encode(
    model({
      nodes: [node('MatMul', ['x', 'w'], [first]), ...inner, node('MatMul', [last, 'v'], ['y'])],
      initializers: [floats('w', [16, 4]), floats('v', [4, 4]), integers('axis', [0])],
      inputs: [['x', [8, 16]]],
      outputs: [['y', [8, 4]]],
    }),
  );
}

/** A legal model of a chain of nodes. */
export function chain(count: number): Uint8Array {
  const steps = Array.from({ length: count }, (_, i) => node('Identity', [`h${i}`], [`h${i + 1}`]));
  return whole(steps, 'h0', `h${count}`);
}

/** One value that many nodes read, and one node that reads all of theirs. */
export function fanOut(count: number): Uint8Array {
  const all = Array.from({ length: count }, (_, i) => `r${i}`);
  return whole([...all.map((name) => node('Relu', ['h'], [name])), node('Sum', all, ['s'])], 'h', 's');
}

/** Two branches of the same names, which are told apart by the long name of the node that chooses. */
export function longNames(count: number, length: number, outerLength = length): Uint8Array {
  const inner = names(count, length);
  const steps = inner.map((name, i) => ({ ...node('Relu', [inner[i - 1] ?? 'h'], [name]), name }));
  const initializers = inner.map((name) => floats(`w${name}`, [1, 1]));
  const branch = graph({ nodes: steps as NodeProto[], initializers, outputs: [inner[count - 1] ?? 'h'] });
  const choice = { ...node('If', ['h'], ['t'], { then_branch: branch, else_branch: branch }) };
  return whole([{ ...choice, name: 'n'.repeat(outerLength) } as NodeProto], 'h', 't');
}

/** A job that repairs by `least_squares` needs the graph whole. */
export function repairJob(content: Uint8Array): ReturnType<typeof postJob> {
  const { inputs } = hostileSamples();
  const data = { name: 'calibration', filename: 'x.npy', content: inputs };
  return postJob('model.onnx', content, { repair: ['least_squares'] }, data);
}

/** Legal graphs that are large in one direction, or two. */
export const onnxGraphs: fc.Arbitrary<Attack> = fc.oneof(
  nodes.map((count) => attack(`onnx chain of ${count} nodes`, postModel('model.onnx', chain(count)))),
  nodes.map((count) => attack(`job on an onnx chain of ${count} nodes`, repairJob(chain(count)))),
  fan.map((count) => attack(`onnx fan-out of ${count} nodes`, postModel('model.onnx', fanOut(count)))),
  fan.map((count) => attack(`job on an onnx fan-out of ${count} nodes`, repairJob(fanOut(count)))),
  product.map(({ count, length }) => {
    const few = Math.min(count, 30_000);
    return attack(
      `onnx ${few} names of ${length} in a branch`,
      postModel('model.onnx', longNames(few, length)),
    );
  }),
);
