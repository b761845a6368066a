import { byName, type SamplesRecord } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import type { AnalysisTasks, SamplesOutline } from './analysis-tasks.ts';
import { badPart, describeFiles, type ReceivedFiles } from './received-files.ts';
import { INPUTS, LABELS, type SampleParts, SUFFIX } from './sample-files.ts';

/**
 * Turns the arrays received where `sampleFiles` says into a dataset ready to be published, what they are and where they lie added as documents.
 * @param read what the files hold, documents added
 * @returns null where neither part came
 * @throws EmpError for arrays that make no set of samples, naming the parts
 */
export async function prepareSamples(
  upload: Upload,
  parts: SampleParts,
  received: ReceivedFiles,
  read: (ask: AnalysisTasks['samples']['ask']) => Promise<SamplesOutline>,
): Promise<SamplesRecord | null> {
  const inputFiles = received.get(parts.inputs) ?? [];
  const [labelFile, ...otherLabels] = received.get(parts.labels) ?? [];
  if (inputFiles.length === 0) {
    if (!labelFile) return null;
    throw badPart(parts.labels, `is given without ${parts.inputs}`);
  }
  if (otherLabels.length > 0) throw badPart(parts.labels, `must be one file, got ${otherLabels.length + 1}`);
  const { directory, files: folder } = upload;
  const inputs = inputFiles.map(({ name }) => name);
  const labels = labelFile?.name ?? null;
  const outline = await read({ upload: { directory, files: folder }, parts, inputs, labels });

  const files = inputFiles.map((file) => ({
    ...file,
    name: `${INPUTS}/${file.name.slice(0, -SUFFIX.length)}`,
  }));
  if (labelFile) files.push({ ...labelFile, name: LABELS });
  return { ...describeFiles('dat', 'samples\n', files.sort(byName)), kind: 'samples', ...outline };
}
