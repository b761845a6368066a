import { useEffect, useRef, useState } from 'preact/hooks';
import { count } from '../report/wording.ts';
import type { Search } from './api-types.ts';
import type { FrontPoint } from './front-plot.ts';
import { AIM_WORDS, amountOf, costOf, PROMISES, promiseOf } from './promise-words.ts';
import { describeDetails, describeRecipe } from './recipe-words.ts';

interface FrontChartProps {
  readonly search: Search;
  /** The number of a candidate, as the address has it. */
  readonly chosen: string | null;
  readonly onChoose: (number: string) => void;
}

/** What was tried: how much is left of the model against what that costs. The table below has the same figures. */
export function FrontChart({ search, chosen, onChoose }: FrontChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const promise = promiseOf(search.promise);
  useEffect(() => {
    if (!place.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)));
    observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  const points = promise === null ? [] : pointsOf(search, promise.name, chosen);
  useEffect(() => {
    if (width === 0 || promise === null) return;
    let isCurrent = true;
    void import('./front-plot.ts').then(({ drawFront }) => {
      if (!isCurrent || !place.current) return;
      const words = PROMISES[promise.name];
      const svg = drawFront({
        ...{ width, points, onChoose },
        limit: promise.limit,
        isShare: words.scale === 0.01,
        xLabel: AIM_WORDS[search.aim]?.axis ?? search.aim,
        yLabel: words.axis,
        description: `${words.axis} against ${AIM_WORDS[search.aim]?.axis ?? search.aim} of ${count(points.length)} models. The table below has the same figures.`,
      });
      place.current.replaceChildren(svg);
    });
    return () => {
      isCurrent = false;
    };
  }, [width, search, chosen]);
  if (promise === null) return null;
  return (
    <figure>
      <div class="front" ref={place} />
      <figcaption>
        <ul class="legend">
          <li class="key-within">within the promise</li>
          <li class="key-over">not within</li>
          <li class="key-dense">the original</li>
          <li class="key-promise">the promise</li>
        </ul>
        <p class="hint">
          Down and left is better. Bars are two standard errors, on the samples that are chosen on. What meets
          the upper edge lies beyond it.
        </p>
      </figcaption>
    </figure>
  );
}

function pointsOf(search: Search, name: Parameters<typeof costOf>[0], chosen: string | null): FrontPoint[] {
  const { dense, candidates, front, aim } = search;
  if (!dense) return [];
  return candidates.flatMap((candidate, number) => {
    const [amount, measured] = [amountOf(aim, candidate, dense), costOf(name, candidate, dense)];
    if (amount === null || measured === null) return [];
    return {
      number: String(number),
      amount,
      ...measured,
      isWithin: candidate.within,
      isOnFront: front.includes(number),
      isChosen: String(number) === chosen,
      title: `${describeRecipe(candidate.recipe)}\n${describeDetails(candidate.recipe)}`,
    };
  });
}
