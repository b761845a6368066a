import { useState } from 'preact/hooks';
import { bytes, count } from '../report/wording.ts';
import type { Dataset, Model } from './api-types.ts';
import { DropZone, Refusal } from './drop-zone.tsx';
import { Inventory } from './inventory-table.tsx';
import { useResource } from './live-resource.ts';
import { route, setQuery } from './page-route.ts';
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
  const [trying, setTrying] = useState(false);
  const [failure, setFailure] = useState<Error | null>(null);

  const tryExample = async () => {
    setTrying(true);
    setFailure(null);
    const nothing = () => {};
    try {
      const [file, inputs, labels, others] = await Promise.all(
        [
          'fc2-mnist.onnx',
          'mnist/evaluation_inputs.npy',
          'mnist/evaluation_labels.npy',
          'mnist/calibration_inputs.npy',
        ].map(fetchExample),
      );
      setQuery({ model: (await uploadModel([file], nothing)).id });
      setQuery({ test: (await uploadSamples([inputs, labels], nothing)).id });
      setQuery({ calibration: (await uploadSamples([others], nothing)).id });
    } catch (error) {
      setFailure(error as Error);
    } finally {
      setTrying(false);
    }
  };

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
            title="Model"
            hint="ONNX or safetensors; all files of one model together."
            accept={MODELS}
            summary={model.data && summaryOfModel(model.data)}
            onFiles={async (files, onProgress) =>
              setQuery({ model: (await uploadModel(files, onProgress)).id })
            }
          />
          <DropZone
            title="Test data"
            hint="Inputs, and labels if there are any, in .npy or .npz. Never trained on."
            accept={ARRAYS}
            summary={test.data && summaryOfSamples(test.data)}
            onFiles={async (files, onProgress) =>
              setQuery({ test: (await uploadSamples(files, onProgress)).id })
            }
          />
          <DropZone
            title="Calibration data"
            hint="A hundred inputs or more, by which pruned models are repaired."
            accept={ARRAYS}
            isOptional
            summary={calibration.data && summaryOfSamples(calibration.data)}
            onFiles={async (files, onProgress) =>
              setQuery({ calibration: (await uploadSamples(files, onProgress)).id })
            }
          />
        </div>
        {modelId === null && (
          <p>
            No model at hand?{' '}
            <button type="button" class="link" disabled={trying} onClick={tryExample}>
              {trying ? 'Uploading the example' : 'Try it with handwritten digits'}
            </button>
          </p>
        )}
        <div role="alert">
          {[failure, model.error, test.error, calibration.error].map(
            (error) => error && <Refusal key={error.message} error={error} />,
          )}
        </div>
      </section>
      {model.data && <Inventory key={model.data.id} model={model.data} />}
      <PromiseForm model={model.data} test={test.data} calibration={calibration.data} />
    </>
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
