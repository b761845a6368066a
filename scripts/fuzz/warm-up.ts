import { readFile } from 'node:fs/promises';
import { post, postJob, postModel } from './attack.ts';
import { send } from './send.ts';

const MODEL = new URL('../../examples/fc2-mnist.onnx', import.meta.url);
const PATIENCE_MS = 60_000;

/** Has every part of the service do its ordinary work, so that what it loads once is there before anything is measured. */
export async function warmUp(baseUrl: string): Promise<void> {
  const model = await readFile(MODEL);
  const job = postJob('model.onnx', model, {});
  const scores = new Float32Array(100_000).fill(0.5);
  const requests = [
    post('/v1/thresholds', 'application/octet-stream', new Uint8Array(scores.buffer)),
    post('/v1/thresholds', 'application/json', JSON.stringify({ scores: [...scores] })),
    { ...job, headers: { ...job.headers, prefer: 'wait=60' } },
  ];
  for (const request of requests) await expectOk(baseUrl, request);
  const { id } = JSON.parse(await expectOk(baseUrl, postModel('model.onnx', model)));
  await expectOk(baseUrl, { ...post(`/v1/models/${id}/structures`, '', ''), method: 'GET', headers: {} });
}

async function expectOk(baseUrl: string, request: Parameters<typeof send>[1]): Promise<string> {
  const { status, text } = await send(baseUrl, request, PATIENCE_MS);
  if (status < 200 || status > 299) throw new Error(`${request.path} answered ${status}: ${text}`);
  return text;
}
