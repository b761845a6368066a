import { Agent, get } from 'node:http';
import { workerData } from 'node:worker_threads';

/** What the thread and its owner share: for each url the longest answer so far and when a question still open was asked, in ms. */
export interface HealthQuestions {
  readonly urls: readonly string[];
  readonly everyMs: number;
  readonly longest: Float64Array;
  readonly askedAt: Float64Array;
}

const { urls, everyMs, longest, askedAt } = workerData as HealthQuestions;
const agent = new Agent({ keepAlive: true });

for (const [index, url] of urls.entries()) {
  setInterval(() => {
    if (askedAt[index] > 0) {
      note(index);
      return;
    }
    askedAt[index] = performance.now();
    const end = () => {
      if (askedAt[index] > 0) note(index);
      askedAt[index] = 0;
    };
    get(url, { agent }, (response) => response.resume().on('close', end)).on('error', end);
  }, everyMs);
}

function note(index: number): void {
  longest[index] = Math.max(longest[index], performance.now() - askedAt[index]);
}
