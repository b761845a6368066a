import { EmpError } from '../core/errors.ts';
import type { AttributeProto } from '../formats/onnx/onnx-schema.ts';
import { AttributeReader } from './attribute-reader.ts';
import { isFunction, type OnnxGraph, type OnnxModel, type OnnxNode } from './onnx-model.ts';

/** Nodes, inputs, outputs and attributes after every call is replaced by its function's body: calls of calls multiply. */
const MAX_UNROLLED_PARTS = 10_000_000;
/** Functions that call functions. */
const MAX_CALL_DEPTH = 64;

/** One call of a function (or the main program): values of the body mean something else in every call. */
export class Frame {
  /** The call, and the frame it stands in; null for the main program. */
  readonly call: { readonly node: OnnxNode; readonly frame: Frame; readonly body: OnnxGraph } | null;
  readonly depth: number;

  constructor(call: Frame['call']) {
    this.call = call;
    this.depth = call === null ? 0 : call.frame.depth + 1;
  }
}

/** A node in one call: attributes are followed through references to the calling node's. */
export class CalledNode extends AttributeReader {
  readonly node: OnnxNode;
  readonly frame: Frame;

  constructor(node: OnnxNode, frame: Frame) {
    super();
    this.node = node;
    this.frame = frame;
  }

  attribute(name: string): AttributeProto | undefined {
    const attribute = this.node.attribute(name);
    const { call } = this.frame;
    if (!attribute?.refAttrName || call === null) return attribute;
    const reference = attribute.refAttrName;
    const defaults = isFunction(call.body.proto) ? call.body.proto.attributeProto : [];
    const given = new CalledNode(call.node, call.frame).attribute(reference);
    return given ?? defaults.find(({ name }) => name === reference);
  }
}

/**
 * A step of the model as it runs. `enter` and `leave` bracket the body of a called function or a node's subgraph, where values pass
 * between the node and the body; a node with subgraphs has its own `node` step after them.
 */
export interface Step {
  readonly kind: 'node' | 'enter' | 'leave';
  readonly node: OnnxNode;
  readonly frame: Frame;
  /** The body entered or left, and its frame: a new one for a function. */
  readonly body: OnnxGraph | null;
  readonly bodyFrame: Frame;
}

/**
 * All nodes in the order they are listed, bodies in place of what runs them, every call by itself. Throws
 * `unsupported_model` for functions that call themselves or multiply beyond all bounds.
 */
export function unrollModel(model: OnnxModel): Step[] {
  const steps: Step[] = [];
  let parts = 0;
  const add = (step: Step) => {
    parts += countParts(step.node);
    if (parts > MAX_UNROLLED_PARTS) {
      throw unsupported(
        step.node,
        `function calls unroll to more than ${MAX_UNROLLED_PARTS} nodes and operands`,
      );
    }
    steps.push(step);
  };
  const visitBody = (node: OnnxNode, frame: Frame, body: OnnxGraph, bodyFrame: Frame) => {
    add({ kind: 'enter', node, frame, body, bodyFrame });
    visit(body, bodyFrame);
    add({ kind: 'leave', node, frame, body, bodyFrame });
  };
  const visit = (graph: OnnxGraph, frame: Frame) => {
    for (const node of graph.nodes) {
      const body = model.functionOf(node);
      if (body !== null) {
        if (frame.depth === MAX_CALL_DEPTH) {
          throw unsupported(
            node,
            `functions call each other more than ${MAX_CALL_DEPTH} deep, or themselves`,
          );
        }
        visitBody(node, frame, body, new Frame({ node, frame, body }));
        continue;
      }
      for (const subgraph of node.subgraphs) visitBody(node, frame, subgraph.graph, frame);
      add({ kind: 'node', node, frame, body: null, bodyFrame: frame });
    }
  };
  visit(model.graph, new Frame(null));
  return steps;
}

function countParts({ proto }: OnnxNode): number {
  const attributes = proto.attribute.reduce((sum, { ints }) => sum + 1 + ints.length, 0);
  return 10 + proto.input.length + proto.output.length + attributes; // a step costs as much as ten operands
}

function unsupported(node: OnnxNode, message: string): EmpError {
  return new EmpError('unsupported_model', `node ${node.label}: ${message}`, [{ path: node.label, message }]);
}
