import { useLayoutEffect } from 'preact/hooks';
import { bytes, count } from '../report/wording.ts';
import type { Dataset, Model } from './api-types.ts';
import { DropZone, Refusal } from './drop-zone.tsx';
import { give, takeArrived, uploads } from './given-files.ts';
import { Inventory } from './inventory-table.tsx';
import { useResource } from './live-resource.ts';
import { route } from './page-route.ts';
import { PromiseForm } from './promise-form.tsx';
import { fetchExample, uploadModel, uploadSamples } from './upload-files.ts';

const MODELS = '.onnx,.safetensors,.zip,.tar,.data,.bin,.json';
const ARRAYS = '.npy,.npz';

/** From files to a search. What was given is kept by its ids, in the address. */
export function NewScreen() {
  const { query } = route.value;
  const at = (kind: string, id: string | null) => (id === null ? null : `/v1/${kind}/${id}`);
  const [modelId, testId, calibrationId] = ['model', 'test', 'calibration'].map((name) => query.get(name));
  const model = useResource<Model>(at('models', modelId), { isFixed: true });
  const test = useResource<Dataset>(at('datasets', testId), { isFixed: true });
  const calibration = useResource<Dataset>(at('datasets', calibrationId), { isFixed: true });
  const isUploading = Object.values(uploads.value).some(({ share }) => share !== null);
  useLayoutEffect(takeArrived, []);

  return (
    <>
      <h1>How much of this model can be thrown away?</h1>
      <p class="lead">
        Give a model, some data and what it may cost. The service tries recipes and keeps the best that stays
        within your promise.
      </p>
      <section aria-labelledby="give">
        <h2 id="give">
          <span class="step">1</span> Your model and some data
        </h2>
        <div class="drops">
          <DropZone
            given="model"
            hint="ONNX or safetensors; all files of one model together."
            accept={MODELS}
            summary={model.data && summaryOfModel(model.data)}
            send={uploadModel}
          />
          <DropZone
            given="test"
            hint="Inputs, and labels if there are any, in .npy or .npz. Never trained on."
            accept={ARRAYS}
            summary={test.data && summaryOfSamples(test.data)}
            send={uploadSamples}
          />
          <DropZone
            given="calibration"
            hint="A hundred inputs or more, by which pruned models are repaired."
            accept={ARRAYS}
            isOptional
            summary={calibration.data && summaryOfSamples(calibration.data)}
            send={uploadSamples}
          />
        </div>
        {modelId === null && (
          <p>
            No model at hand?{' '}
            <button type="button" class="link" disabled={isUploading} onClick={giveExample}>
              Fill in an example: handwritten digits
            </button>
          </p>
        )}
        <div role="alert">
          {[model.error, test.error, calibration.error].map(
            (error) => error && <Refusal key={error.message} error={error} />,
          )}
        </div>
      </section>
      {model.data && <Inventory key={model.data.id} model={model.data} />}
      <PromiseForm model={model.data} test={test.data} calibration={calibration.data} />
    </>
  );
}

/** A model and data that the service brings along; what follows a failure is not tried. */
async function giveExample(): Promise<void> {
  const fetchAll = (...names: string[]) => Promise.all(names.map(fetchExample));
  const [inputs, labels] = ['mnist/evaluation_inputs.npy', 'mnist/evaluation_labels.npy'];
  const isGiven =
    (await give('model', async (onProgress) => uploadModel(await fetchAll('fc2-mnist.onnx'), onProgress))) &&
    (await give('test', async (onProgress) => uploadSamples(await fetchAll(inputs, labels), onProgress)));
  if (isGiven)
    await give('calibration', async (onProgress) =>
      uploadSamples(await fetchAll('mnist/calibration_inputs.npy'), onProgress),
    );
}

function summaryOfModel({ name, n_parameters, files }: Model): string {
  const size = files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  return `${name}: ${count(n_parameters)} parameters, ${bytes(size)}`;
}

function summaryOfSamples(dataset: Dataset): string {
  if (dataset.kind !== 'samples') return 'These are scores, not samples.';
  const samples = dataset.n_samples === null ? 'Samples' : `${count(dataset.n_samples)} samples`;
  return `${samples}, ${dataset.labels === null ? 'without labels' : 'labelled'}`;
}
