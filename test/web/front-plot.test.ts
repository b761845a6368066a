import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openPage } from './open-page.ts';
import { openSite } from './open-site.ts';

const LIMIT = 0.01;

/** Of one chart: where its marks, bars and line are, in pixels. */
interface Drawn {
  readonly bars: readonly { readonly x: number; readonly y1: number; readonly y2: number }[];
  readonly marks: readonly { readonly x: number; readonly y: number }[];
  /** Where the line of the front begins. */
  readonly line: { readonly x: number; readonly y: number };
}

describe('the chart of a search', () => {
  const site = openSite();

  test('shows bars whole, and ends its line at what is in range', async () => {
    const points = [
      { amount: 0.8, cost: 0.002, error: 0.004 },
      { amount: 0.6, cost: 0.02, error: 0.015 },
      // Far beyond what the promise allows.
      { amount: 0.4, cost: 0.3, error: 0.02 },
      { amount: 0.3, cost: 0.5, error: 0.02 },
    ].map((point, i) => ({
      ...{ ...point, number: String(i), title: '' },
      ...{ isOnFront: true, isWithin: point.cost <= LIMIT, isChosen: false },
    }));
    const names = { xLabel: 'x', yLabel: 'y', description: 'front' };
    const front = { width: 800, points, limit: LIMIT, isShare: true, ...names };
    await using opened = await openPage(site.browser, site.service.url);
    const { bars, marks, line } = (await opened.page.evaluate(`(async () => {
      const { src } = document.querySelector('script[type=module]');
      const [name] = /front-plot-\\w+\\.js/.exec(await (await fetch(src)).text());
      const { drawFront } = await import(new URL(name, src).href);
      const svg = drawFront({ ...${JSON.stringify(front)}, onChoose() {} });
      document.body.append(svg);
      const frame = svg.getBoundingClientRect();
      const centre = (mark) => {
        const { left, top, width, height } = mark.getBoundingClientRect();
        return { x: left + width / 2 - frame.left, y: top + height / 2 - frame.top };
      };
      const bars = [...svg.querySelectorAll('g[stroke="var(--muted)"] > line')].map((bar) => ({
        x: +bar.getAttribute('x1'), y1: +bar.getAttribute('y1'), y2: +bar.getAttribute('y2'),
      }));
      const { x, y } = svg.querySelector('g[stroke="var(--accent)"][fill="none"] > path').getBBox();
      return {
        bars,
        marks: [...svg.querySelectorAll('.within > circle, .over > path')].map(centre),
        line: { x, y },
      };
    })()`)) as Drawn;
    assert.deepEqual([bars.length, marks.length], [points.length, points.length]);
    const markOf = ({ x }: { x: number }) =>
      marks.find((mark) => Math.abs(mark.x - x) < 1) ?? assert.fail(`no mark at ${x}`);
    // A bar that is cut is longer to one side of its mark.
    for (const bar of bars.slice(0, 2)) {
      const { y } = markOf(bar);
      assert.ok(Math.abs((bar.y1 + bar.y2) / 2 - y) < 1, `${bar.y1} to ${bar.y2} around ${y}`);
    }
    const { x, y } = markOf(bars[1]);
    assert.ok(Math.abs(line.x - x) < 1, `${line.x} to ${x}`);
    assert.ok(Math.abs(line.y - y) < 1, `${line.y} to ${y}`);
    assert.deepEqual(opened.complaints, []);
  });
});
