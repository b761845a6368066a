import { EmpError } from '../core/errors.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { RunContext } from '../jobs/child-program.ts';
import { nEffOfModel } from '../pipeline/weights/n-eff.ts';
import { diskFault } from '../storage/disk-faults.ts';

/**
 * Finds N_eff of a model's tensors, on one thread.
 * @param scratchDirectory takes what quantized weights stand for
 * @returns a `ModelNEff` as JSON, `outputBytes` at most
 * @throws EmpError limit_exceeded, insufficient_storage, and as `nEffOfModel`
 */
export async function findNEff(
  model: StoredModel,
  { outputBytes, scratchDirectory }: { readonly outputBytes: number; readonly scratchDirectory: string },
  { signal }: Pick<RunContext<never>, 'signal'>,
): Promise<string> {
  const found = await nEffOfModel({ model, scratchDirectory, signal }).catch((error) => {
    throw diskFault(error) ?? error;
  });
  const json = JSON.stringify(found);
  if (json.length <= outputBytes) return json;
  throw new EmpError('limit_exceeded', 'it has more tensors than can be shown');
}
