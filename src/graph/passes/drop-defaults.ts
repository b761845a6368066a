import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { mainGraph } from '../proto-walk.ts';

/** Since this `ir_version` initializers need not be inputs. */
const IR_VERSION = 4n;

/**
 * Takes inputs away that initializers give defaults to: nobody feeds them, and constants are faster. Requires nothing. Ensures that all inputs of the main graph have to be
 * fed, and an `ir_version` of 4 or later.
 */
export function dropDefaults(model: ModelProto): void {
  const graph = mainGraph(model);
  const sparse = graph.sparseInitializer.flatMap(({ values }) => values ?? []);
  const defaults = new Set([...graph.initializer, ...sparse].map(({ name }) => name));
  graph.input = graph.input.filter(({ name }) => !defaults.has(name));
  if (model.irVersion < IR_VERSION) model.irVersion = IR_VERSION;
}
