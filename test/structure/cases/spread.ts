import { integers, node } from '../../models/build-model.ts';
import { weights } from '../../models/runtime-model.ts';
import { of, type RuleCase, random, SPATIAL, scalar, TIED } from './rule-case.ts';

export const SPREAD_CASES: readonly RuleCase[] = [
  of('Expand', 4, [], {
    inputs: [['x', ['batch', 3]]],
    nodes: [
      node('Shape', ['x'], ['sizes']),
      node('Concat', ['sizes', 'four'], ['target'], { axis: 0 }),
      node('Expand', ['w', 'target'], ['y']),
    ],
    initializers: [random('w', [1, 4]), integers('four', [4])],
  }),
  of('Expand of one position to as many as are multiplied, and of a mask', 9, [], {
    nodes: [
      node('Expand', ['k', 'target'], ['wide']),
      node('Mul', ['wide', 'q'], ['m']),
      node('Greater', ['edge', 'zero'], ['mask']),
      node('Expand', ['mask', 'target'], ['masks']),
      node('Where', ['masks', 'm', 'zero'], ['y']),
    ],
    initializers: [
      ...[random('k', [2, 1, 3]), random('q', [2, 4, 3]), random('edge', [3])],
      ...[integers('target', [2, 4, 3]), scalar('zero', 0)],
    ],
  }),
  of('Expand to another Shape', 4, [TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'v'], ['h']),
      node('Shape', ['h'], ['sizes']),
      node('Expand', ['w', 'sizes'], ['wide']),
      node('Mul', ['wide', 'h'], ['y']),
    ],
    initializers: [random('v', [4, 4]), random('w', [1, 4])],
  }),
  of('Expand of a number, and integers, to the Shape of what shrinks', 4, [TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'v'], ['h']),
      node('Shape', ['h'], ['sizes']),
      node('Expand', ['one', 'sizes'], ['wide']),
      node('ConstantOfShape', ['sizes'], ['zeros'], { value: integers('z', [0]) }),
    ],
    outputs: ['h', 'wide', 'zeros'],
    initializers: [random('v', [4, 4]), scalar('one', 1)],
  }),
  of('Tile', 5, [], {
    nodes: [node('Tile', ['x', 'repeats'], ['y'])],
    initializers: [random('x', [2, 3]), integers('repeats', [1, 2])],
  }),
  of('ConstantOfShape', 5, [TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Shape', ['x'], ['sizes']),
      node('Gather', ['sizes', 'zero'], ['batch']),
      node('Concat', ['batch', 'five'], ['target'], { axis: 0 }),
      node('ConstantOfShape', ['target'], ['zeros'], { value: weights('v', [1], [0.5]) }),
      node('Add', ['h', 'zeros'], ['y']),
    ],
    initializers: [random('w', [4, 5]), integers('zero', [0]), integers('five', [5])],
  }),
  of('Pad', 8, [], {
    nodes: [node('Pad', ['x', 'pads', 'value'], ['y'])],
    initializers: [random('x', [3, 5]), integers('pads', [0, 2, 0, 1]), scalar('value', 3)],
  }),
  of('Pad that takes away', 3, ['is padded'], {
    nodes: [node('Pad', ['x', 'pads'], ['y'])],
    initializers: [random('x', [3, 5]), integers('pads', [0, -1, 0, 1])],
  }),
  of('Pad by reflection', 3, ['is padded'], {
    nodes: [node('Pad', ['x', 'pads'], ['y'], { mode: 'reflect' })],
    initializers: [random('x', [3, 5]), integers('pads', [0, 2, 0, 1])],
  }),
  of('Pad of named axes', 8, [], {
    opset: 18,
    nodes: [node('Pad', ['x', 'pads', '', 'axes'], ['y'])],
    initializers: [random('x', [3, 5]), integers('pads', [1, 2]), integers('axes', [-1])],
  }),
  of('Resize to sizes', 5, ['is resized'], {
    nodes: [node('Resize', ['x', '', '', 'sizes'], ['y'], { mode: 'nearest' })],
    initializers: [random('x', [2, 3, 2, 2]), integers('sizes', [2, 3, 4, 4])],
  }),
  of('Resize by scales', 5, ['is a scale', 'is resized'], {
    nodes: [node('Resize', ['x', '', 'scales'], ['y'], { mode: 'nearest' })],
    initializers: [random('x', [2, 3, 2, 2]), weights('scales', [4], [1, 1, 2, 2])],
  }),
  of('Resize of named axes', 2, ['is resized'], {
    opset: 18,
    nodes: [node('Resize', ['x', '', '', 'sizes'], ['y'], { axes: [1, 2, 3] })],
    initializers: [random('x', [2, 3, 2, 2]), integers('sizes', [3, 4, 4])],
  }),
  of('Upsample', 5, ['is a scale', 'is resized'], {
    opset: 9,
    nodes: [node('Upsample', ['x', 'scales'], ['y'])],
    initializers: [random('x', [2, 3, 2, 2]), weights('scales', [4], [1, 1, 2, 2])],
  }),
  of('GridSample', 3, ['is a place', SPATIAL], {
    nodes: [node('GridSample', ['x', 'grid'], ['y'])],
    initializers: [random('x', [2, 3, 4, 4]), random('grid', [2, 2, 2, 2])],
  }),
  of('RoiAlign', 3, ['is a place', SPATIAL], {
    nodes: [node('RoiAlign', ['x', 'rois', 'which'], ['y'], { output_height: 2, output_width: 2 })],
    initializers: [
      random('x', [2, 3, 4, 4]),
      weights('rois', [2, 4], [0, 0, 2, 2, 1, 1, 3, 3]),
      integers('which', [0, 1]),
    ],
  }),
];
