import { EmpError } from '../../core/errors.ts';
import { prepareSamples } from '../../intake/prepare-samples.ts';
import { prepareScores, scoreFile } from '../../intake/prepare-scores.ts';
import type { ReceivedFiles } from '../../intake/received-files.ts';
import { sampleFiles } from '../../intake/sample-files.ts';
import type { Asker } from '../../intake/slots.ts';
import { SHAPES_DOCUMENT } from '../../intake/upload-documents.ts';
import type { DatasetRecord } from '../../storage/records.ts';
import type { Upload } from '../../storage/store.ts';
import { filePart, filesPart } from '../plugins/operations.ts';
import type { View } from '../resource-routes.ts';
import { datasetSchema, datasetSummarySchema } from '../schemas.ts';
import type { App, Services } from '../services.ts';
import { withDocument } from '../stored-json.ts';
import { registerUploadedResource } from '../upload-routes.ts';

const SAMPLES = { inputs: 'inputs', constants: 'constants', labels: 'labels' };

const FORM = {
  oneOf: [{ required: ['inputs'] }, { required: ['scores'] }],
  properties: {
    inputs: filesPart(
      "One `.npy` file per model input; the filename without `.npy` is the input's name (a model with one input takes any). Axis 0 counts the samples, or the axis that the model calls a batch; before an input without such an axis one is put that does.",
    ),
    constants: filesPart(
      'One `.npy` file for each input that gets the same for every sample, such as a sample rate, lengths or the state before the first step: as one sample has it. Scalars may come among `inputs` too.',
    ),
    labels: filePart(
      "A `.npy` file beside `inputs`, whose axis 0 counts the samples, or the axis of the output that does: class ids `[samples]` or next tokens `[samples, positions]`, or numbers of the output's shape: floats for squared errors, or for a model that ends in Sigmoid 0 to 1 for binary cross-entropy. -100 marks what does not count, except in squared errors.",
    ),
    scores: filePart(
      'A `.safetensors` file of up to 131,072 arrays, or a `.npz` of up to 4096: one array per tensor, of its name and shape.',
    ),
  },
};

/** Datasets: arrays that jobs use, either samples to run models on or scores. */
export function registerDatasets(app: App, services: Services): void {
  const { reader, maxUploadBytes } = services;

  registerUploadedResource(app, services, {
    kind: 'datasets',
    entrySchema: datasetSummarySchema,
    schema: datasetSchema,
    texts: {
      upload: {
        summary: 'Upload samples or scores',
        description:
          'Samples to run a model on (`inputs`, and `labels` where there are any), or `scores`. The same files again answer 200 with the dataset that is there.',
      },
      get: { summary: 'A dataset and its arrays' },
      delete: {
        summary: 'Delete a dataset',
        description: 'Refused while a job or search that has not ended uses it.',
      },
    },
    form: FORM,
    problems: [
      'malformed_npz',
      'malformed_npy',
      'malformed_safetensors',
      'unsupported_dtype',
      'invalid_labels',
    ],
    partsOf: (upload) => ({ ...sampleFiles(upload, SAMPLES), scores: scoreFile(upload) }),
    prepare,
    async get({ store }, id) {
      const record = await store.readRecord<DatasetRecord>('datasets', id);
      if (!record) return null;
      const shapes = await store.openDocument('datasets', id, SHAPES_DOCUMENT);
      // A record of an earlier version holds them itself.
      if (!shapes) return record as View<typeof datasetSchema>;
      return withDocument(record, record.kind === 'scores' ? 'arrays' : 'inputs', shapes);
    },
  });

  /** @throws EmpError also where not exactly one kind of dataset came */
  async function prepare(upload: Upload, files: ReceivedFiles, asker: Asker): Promise<DatasetRecord> {
    const scores = files.get('scores');
    const given = [...files.keys()];
    if (scores && given.length > 1) {
      const others = given.filter((part) => part !== 'scores');
      throw new EmpError(
        'invalid_request',
        `a dataset holds either scores or samples: send ${others.join(' and ')} without scores`,
        given.map((path) => ({ path, message: 'is given beside parts of the other kind' })),
      );
    }
    if (scores)
      return prepareScores(upload, scores, maxUploadBytes, (ask) => reader.scores(ask, asker), asker.signal);
    const samples = await prepareSamples(upload, SAMPLES, files, (ask) => reader.samples(ask, asker));
    if (samples) return samples;
    const advice = 'give inputs (one .npy file per model input), or scores (.safetensors or .npz)';
    throw new EmpError('invalid_request', `the request has no files: ${advice}`, [
      { path: 'inputs', message: 'is missing, and so is scores' },
    ]);
  }
}
