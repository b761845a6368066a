import { byName, type SamplesRecord, type StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import type { AnalysisTasks, SamplesOutline } from './analysis-tasks.ts';
import { badPart, describeFiles, type ReceivedFiles } from './received-files.ts';
import { CONSTANTS, INPUTS, LABELS, type SampleParts, SUFFIX } from './sample-files.ts';

/**
 * Turns the arrays received where `sampleFiles` says into a dataset ready to be published, what they are and where they lie added as documents.
 * @param read what the files hold, documents added
 * @returns null where no part came
 * @throws EmpError for arrays that make no set of samples, naming the parts
 */
export async function prepareSamples(
  upload: Upload,
  parts: SampleParts,
  received: ReceivedFiles,
  read: (ask: AnalysisTasks['samples']['ask']) => Promise<SamplesOutline>,
): Promise<SamplesRecord | null> {
  const inputFiles = received.get(parts.inputs) ?? [];
  const constantFiles = received.get(parts.constants) ?? [];
  const [labelFile, ...otherLabels] = received.get(parts.labels) ?? [];
  if (inputFiles.length === 0) {
    const given = labelFile ? parts.labels : constantFiles.length > 0 ? parts.constants : null;
    if (given === null) return null;
    throw badPart(given, `is given without ${parts.inputs}`);
  }
  if (otherLabels.length > 0) throw badPart(parts.labels, `must be one file, got ${otherLabels.length + 1}`);
  const { directory, files: folder } = upload;
  const inputs = inputFiles.map(({ name }) => name);
  const constants = constantFiles.map(({ name }) => name);
  const labels = labelFile?.name ?? null;
  const outline = await read({ upload: { directory, files: folder }, parts, inputs, constants, labels });

  const placed = (files: readonly StoredFile[], place: string) =>
    files.map((file) => ({ ...file, name: `${place}/${file.name.slice(0, -SUFFIX.length)}` }));
  const files = [...placed(inputFiles, INPUTS), ...placed(constantFiles, CONSTANTS)];
  if (labelFile) files.push({ ...labelFile, name: LABELS });
  return { ...describeFiles('dat', 'samples\n', files.sort(byName)), kind: 'samples', ...outline };
}
