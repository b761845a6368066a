import { EmpError, type InputFinding } from '../core/errors.ts';
import type { LayerActivations, LayerSites } from '../graph/weights/layer-sites.ts';
import type { Criterion } from '../recipe/criteria.ts';

/** The side of a layer that a criterion looks at. */
export type Side = 'input' | 'output';

/**
 * What has to be captured to score each of the tensors, in their order. Runs nothing.
 * @param sites where the model's weights act, by name (`findLayerSites`)
 * @throws EmpError unsupported_model naming every tensor whose layer's activations cannot be captured, and why
 */
export function checkCapturable(
  criterion: Criterion,
  side: Side,
  sites: ReadonlyMap<string, LayerSites>,
  tensors: readonly { readonly name: string }[],
): LayerActivations[] {
  const found = tensors.map(({ name }) => sites.get(name)?.[`${side}s`] ?? 'no layer multiplies by it');
  const findings = found.flatMap((reason, index) =>
    typeof reason === 'string'
      ? [{ path: tensors[index].name, message: `${reason}; exclude it or use criterion magnitude` }]
      : [],
  );
  if (findings.length === 0) return found.filter((activations) => typeof activations !== 'string');
  throw cannotScore(criterion, findings, findings.length > 1 ? ` (and ${findings.length - 1} more)` : '');
}

/** Why a model cannot be scored, by the first of several findings. */
export function cannotScore(criterion: Criterion, findings: readonly InputFinding[], more = ''): EmpError {
  const [{ path, message }] = findings;
  const text = `criterion ${criterion} cannot score ${path}: ${message}${more}`;
  return new EmpError('unsupported_model', text, findings);
}
