import type { KeptPositions } from '../formats/gather.ts';
import type { EditedInputs } from '../graph/passes/join-constants.ts';
import type { Structures } from './families.ts';

/** A model that was written without some of its structures. */
export interface ReducedModel {
  /** The file that a client names first. */
  readonly files: readonly string[];
  /** What is left along every axis of the tensors that shrank, by the names of the dense model's inventory. */
  readonly kept: ReadonlyMap<string, KeptPositions>;
}

/** A model whose structures are known, to be written without some of them. */
export interface ReducibleModel extends AsyncDisposable {
  readonly structures: Structures;
  /**
   * Writes the model to `targetDirectory` without some structures.
   * @param removed roots of structures
   * @param isEdited what nodes that shared it before are not to share again
   */
  write(
    removed: ReadonlySet<number>,
    targetDirectory: string,
    signal: AbortSignal,
    isEdited: EditedInputs,
  ): Promise<ReducedModel>;
}
