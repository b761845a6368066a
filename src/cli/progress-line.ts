import type { WriteStream } from 'node:tty';

const BAR_WIDTH = 24;
/** Before so much of the work is done nobody knows what the rest takes. */
const FIRST_GUESS = 5;
const WORDS: Readonly<Record<string, string>> = {
  explore: 'trying recipes',
  write: 'writing the best',
};

export interface ProgressLine {
  show(stage: string, percent: number): void;
  /** Removes the bar: what is said next stands in its place. */
  end(): void;
}

/** On a terminal a bar, drawn over and over, with the stage and the time left; elsewhere a line for each stage and quarter. */
export function createProgress(stream: Pick<WriteStream, 'write' | 'isTTY'>): ProgressLine {
  const startedAt = performance.now();
  let last = '';
  let most = 0;
  return {
    show(stage, given) {
      // What is told of lines and of jobs comes in no order.
      const percent = Math.max(given, most);
      most = percent;
      const word = WORDS[stage] ?? stage;
      const line = stream.isTTY
        ? `\r\x1b[K  ${bar(percent)} ${percent.toFixed(0).padStart(3)} %  ${word}${timeLeft(percent, performance.now() - startedAt)}`
        : `  ${String(Math.floor(percent / 25) * 25).padStart(3)} %  ${word}\n`;
      if (line !== last) stream.write(line);
      last = line;
    },
    end() {
      if (stream.isTTY && last !== '') stream.write('\r\x1b[K');
      last = '';
    },
  };
}

function bar(percent: number): string {
  const filled = Math.round((percent / 100) * BAR_WIDTH);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
}

/** As if the rest took as long as what is done. */
export function timeLeft(percent: number, elapsedMs: number): string {
  if (percent < FIRST_GUESS || percent >= 100) return '';
  const seconds = Math.round((elapsedMs * (100 - percent)) / percent / 1000);
  if (seconds < 60) return `, about ${seconds} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `, about ${minutes} min left` : `, about ${(seconds / 3600).toFixed(1)} h left`;
}
