import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, type NodeProto, type TensorProto } from '../src/formats/onnx/onnx-schema.ts';
import { elements, floats, integers, node, tensor, value } from '../test/models/build-model.ts';
import { runnableModel } from '../test/models/runtime-model.ts';
import { createGaussian } from './gaussian.ts';

const COLOURS = 3;
const CLASSES = 80;
/** What one side of a box is told by. */
const BOX_BINS = 64;

/** Writes `detector.onnx`: a model of the layers and sizes of YOLOv8n, 3.2 million random weights, for images of any size that 32 divides. */
export async function writeDetector(directory: string): Promise<string> {
  const file = 'detector.onnx';
  await writeFile(join(directory, file), toBinary(ModelProtoSchema, new Detector().build()));
  return file;
}

class Detector {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #channels = new Map([['images', COLOURS]]);
  readonly #fill = createGaussian(11);

  build() {
    const stem = this.#conv('images', 16, 3, 2);
    const p2 = this.#c2f(this.#conv(stem, 32, 3, 2), 32, 1, true);
    const p3 = this.#c2f(this.#conv(p2, 64, 3, 2), 64, 2, true);
    const p4 = this.#c2f(this.#conv(p3, 128, 3, 2), 128, 2, true);
    const p5 = this.#pooled(this.#c2f(this.#conv(p4, 256, 3, 2), 256, 1, true));
    const up4 = this.#c2f(this.#concat([this.#doubled(p5), p4]), 128, 1, false);
    const up3 = this.#c2f(this.#concat([this.#doubled(up4), p3]), 64, 1, false);
    const down4 = this.#c2f(this.#concat([this.#conv(up3, 64, 3, 2), up4]), 128, 1, false);
    const down5 = this.#c2f(this.#concat([this.#conv(down4, 128, 3, 2), p5]), 256, 1, false);
    const found = [up3, down4, down5].map((level) => {
      const head = (width: number, outputs: number) => {
        const seen = this.#conv(this.#conv(level, width, 3), width, 3);
        return this.#conv(seen, outputs, 1, 1, false);
      };
      const both = this.#concat([head(BOX_BINS, BOX_BINS), head(CLASSES, CLASSES)]);
      return this.#op('Reshape', [both, 'flat'], BOX_BINS + CLASSES);
    });
    this.#nodes.push(node('Concat', found, ['output'], { axis: 2 }));
    return runnableModel({
      inputs: [value('images', ['batch', COLOURS, 'height', 'width'])],
      outputs: [value('output', ['batch', BOX_BINS + CLASSES, 'places'])],
      nodes: this.#nodes,
      initializers: [
        ...this.#initializers,
        integers('flat', [0, 0, -1]),
        { ...floats('scales', [4]), rawData: new Uint8Array(Float32Array.of(1, 1, 2, 2).buffer) },
      ],
    });
  }

  /** A convolution, its batch normalization folded in, and SiLU. */
  #conv(input: string, channels: number, kernel: number, stride = 1, isActive = true): string {
    const name = `conv${this.#initializers.length / 2}`;
    const shape = [channels, this.#channelsOf(input), kernel, kernel];
    const [weight, bias] = [new Float32Array(elements(shape)), new Float32Array(channels)];
    for (const numbers of [weight, bias]) this.#fill(numbers);
    const scale = Math.sqrt(2 / elements(shape.slice(1)));
    this.#initializers.push(
      tensor(
        `${name}.weight`,
        shape,
        weight.map((number) => scale * number),
      ),
      tensor(
        `${name}.bias`,
        [channels],
        bias.map((number) => 0.1 * number),
      ),
    );
    const half = (kernel - 1) / 2;
    const attributes = {
      strides: [stride, stride],
      pads: [half, half, half, half],
      kernel_shape: [kernel, kernel],
    };
    const result = this.#op('Conv', [input, `${name}.weight`, `${name}.bias`], channels, attributes);
    return isActive ? this.#op('Mul', [result, this.#op('Sigmoid', [result], channels)], channels) : result;
  }

  /** A block whose every part is seen by its last convolution. */
  #c2f(input: string, channels: number, depth: number, isResidual: boolean): string {
    const whole = this.#conv(input, channels, 1);
    const half = channels / 2;
    const parts = ['left', 'right'].map((side) => `${whole}.${side}`);
    this.#nodes.push(node('Split', [whole], [...parts], { axis: 1 }));
    for (const part of parts) this.#channels.set(part, half);
    for (let i = 0; i < depth; i++) {
      const [last] = parts.slice(-1);
      const made = this.#conv(this.#conv(last, half, 3), half, 3);
      parts.push(isResidual ? this.#op('Add', [last, made], half) : made);
    }
    return this.#conv(this.#concat(parts), channels, 1);
  }

  /** Spatial pyramid pooling. */
  #pooled(input: string): string {
    const channels = this.#channelsOf(input);
    const levels = [this.#conv(input, channels / 2, 1)];
    for (let i = 0; i < 3; i++)
      levels.push(
        this.#op('MaxPool', [levels[i]], channels / 2, { kernel_shape: [5, 5], pads: [2, 2, 2, 2] }),
      );
    return this.#conv(this.#concat(levels), channels, 1);
  }

  #doubled(input: string): string {
    const attributes = {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    return this.#op('Resize', [input, '', 'scales'], this.#channelsOf(input), attributes);
  }

  #concat(inputs: readonly string[]): string {
    const channels = inputs.reduce((sum, input) => sum + this.#channelsOf(input), 0);
    return this.#op('Concat', [...inputs], channels, { axis: 1 });
  }

  #op(op: string, inputs: string[], channels: number, attributes: Parameters<typeof node>[3] = {}): string {
    const output = `v${this.#nodes.length}`;
    this.#nodes.push(node(op, inputs, [output], attributes));
    this.#channels.set(output, channels);
    return output;
  }

  #channelsOf(name: string): number {
    return this.#channels.get(name) ?? 0;
  }
}
