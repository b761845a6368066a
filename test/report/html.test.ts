import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { preservedMassBoundPaper } from '../../src/core/bounds.ts';
import { renderReport } from '../../src/report/html/page.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { launchChromium } from '../services/chromium.ts';
import { HOSTILE_NAMES } from './hostile-names.ts';
import { SAMPLE_REPORTS } from './sample-report.ts';

const SAMPLES: [string, Report][] = Object.entries(SAMPLE_REPORTS);
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1280, height: 900 };

/** To one decimal, as a reader would write it. */
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const guarantee = (share: number) => `${(Math.floor(1000 * share) / 10).toFixed(1)} %`;
const plain = (text: string | null) => (text ?? '').replaceAll('\u00a0', ' ');

describe('report.html', () => {
  let browser: Browser;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'report-'));
    browser = await launchChromium();
  });
  after(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  interface Opened extends AsyncDisposable {
    readonly page: Page;
    /** Whatever the page asked for beside itself. */
    readonly requests: string[];
    /** What the console and uncaught errors say. */
    readonly complaints: string[];
  }

  async function open(report: Report, viewport = DESKTOP): Promise<Opened> {
    const path = join(folder, 'report.html');
    await writeFile(path, renderReport(report));
    const context = await browser.newContext({ viewport, colorScheme: 'light' });
    await context.setOffline(true);
    const page = await context.newPage();
    const [requests, complaints]: [string[], string[]] = [[], []];
    const { href } = pathToFileURL(path);
    await page.route('**', (route) => {
      if (route.request().url() === href) return route.continue();
      requests.push(route.request().url());
      return route.abort();
    });
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(href);
    return { page, requests, complaints, [Symbol.asyncDispose]: () => context.close() };
  }

  for (const [name, report] of SAMPLES) {
    describe(`of the sample "${name}"`, () => {
      let opened: Opened;
      before(async () => {
        opened = await open(report);
      });
      after(() => opened[Symbol.asyncDispose]());

      test('is made from a valid report, every time the same', () => {
        reportSchema.parse(report);
        const first = renderReport(report);
        renderReport(SAMPLE_REPORTS.layers);
        assert.equal(renderReport(structuredClone(report)), first);
      });

      test('opens without the network as a well-formed document', async () => {
        const { page } = opened;
        assert.equal(await page.locator('h1').count(), 1);
        assert.equal(plain(await page.locator('h1').textContent()), report.model.name);
        assert.equal(await page.title(), `Pruning report: ${report.model.name}`);
        assert.equal(await page.locator('html').getAttribute('lang'), 'en');
        assert.equal(
          await page.locator('body > *').count(),
          await page.locator('body > :is(header, main, footer)').count(),
        );
        for (const [outer, inner] of [
          ['table', 'caption'],
          ['table', 'th[scope=col]'],
          ['tbody tr', 'th[scope=row]'],
          ['figure', 'figcaption'],
          ['figure', 'svg[role=img][aria-label]'],
          ['section', 'h2'],
        ]) {
          assert.equal(
            await page.locator(`${outer}:not(:has(${inner}))`).count(),
            0,
            `${outer} without ${inner}`,
          );
        }
        assert.deepEqual(await page.evaluate(DUPLICATE_IDS), []);
        assert.deepEqual(opened.requests, []);
        assert.deepEqual(opened.complaints, []);
      });

      for (const viewport of [PHONE, DESKTOP]) {
        test(`is readable at ${viewport.width} pixels`, async () => {
          const { page } = opened;
          await page.setViewportSize(viewport);
          assert.ok(
            ((await page.evaluate('document.documentElement.scrollWidth')) as number) <= viewport.width,
          );
          assert.deepEqual(await page.evaluate(CLIPPED_OR_TINY_TEXTS), []);
          assert.deepEqual(await page.evaluate(OVERLAPPING_TEXTS), []);
          assert.deepEqual(await page.evaluate(SHAPES_OUTSIDE), []);
        });
      }

      test('has enough contrast in light, in dark and on paper, which is white', async () => {
        const { page } = opened;
        for (const scheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ media: 'screen', colorScheme: scheme });
          assert.deepEqual(await page.evaluate(FAINT_TEXTS), [], scheme);
          await page.emulateMedia({ media: 'print' });
          assert.equal(
            await page.evaluate('getComputedStyle(document.body).backgroundColor'),
            'rgb(255, 255, 255)',
          );
          assert.deepEqual(await page.evaluate(FAINT_TEXTS), [], `${scheme}, printed`);
        }
      });
    });
  }

  test('the checks of texts find what is planted', async () => {
    await using opened = await open(SAMPLE_REPORTS.dryRun, PHONE);
    const { page } = opened;
    const plant = (attributes: string) =>
      page.evaluate(`{
        const chart = Array.from(document.querySelectorAll('svg[role=img]')).find((svg) => svg.checkVisibility());
        chart.insertAdjacentHTML('beforeend', '<text ${attributes}>planted</text>');
      }`);
    await plant('x="100" y="500" font-size="10"');
    assert.deepEqual(await page.evaluate(CLIPPED_OR_TINY_TEXTS), ['planted']);
    await plant('x="102" y="501" fill="#8888"');
    assert.deepEqual(await page.evaluate(OVERLAPPING_TEXTS), ['planted / planted']);
    assert.deepEqual(await page.evaluate(FAINT_TEXTS), ['planted']);
    assert.deepEqual(await page.evaluate(SHAPES_OUTSIDE), []);
    await page.evaluate(`{
      const path = document.querySelector('svg[role=img] path');
      path.setAttribute('transform', 'translate(0,-500)');
    }`);
    assert.equal(((await page.evaluate(SHAPES_OUTSIDE)) as string[]).length, 1);
    await plant('x="370" y="600"');
    assert.deepEqual(await page.evaluate(CLIPPED_OR_TINY_TEXTS), ['planted', 'planted']);
  });

  async function chartOf(page: Page, title: string): Promise<string> {
    const chart = page
      .locator('figure', { has: page.getByText(title, { exact: true }) })
      .locator('svg[role=img]');
    return plain(await chart.first().getAttribute('aria-label'));
  }

  function assertSays(text: string, expected: readonly string[]): void {
    for (const part of expected) assert.ok(text.includes(part), `"${part}" is missing in: ${text}`);
  }

  test('charts say in words what they show', async () => {
    const report = SAMPLE_REPORTS.searched;
    const { total, evaluation, scores } = report;
    assert.ok(evaluation?.search && evaluation.beta_1 && total.n_eff !== null && total.threshold !== null);
    await using opened = await open(report);
    const { page } = opened;

    const limit = (1 + (evaluation.search.target.max_loss_increase ?? 0)) * (evaluation.dense.loss ?? 0);
    assertSays(await chartOf(page, 'Loss against sparsity'), [
      `beta ${evaluation.search.beta}`,
      percent(total.sparsity),
      percent(evaluation.beta_1.sparsity),
      ...[evaluation.search.dense.loss, evaluation.pruned.loss, limit].map((loss) =>
        (loss ?? Number.NaN).toPrecision(4),
      ),
    ]);
    await page.getByText('Measured on the 2,000 samples that were searched on').waitFor();
    assertSays(await chartOf(page, 'Accuracy against sparsity'), [
      ...[evaluation.dense.accuracy, evaluation.pruned.accuracy].map(
        (share) => `${(100 * (share ?? Number.NaN)).toFixed(2)} %`,
      ),
    ]);

    const bySparsity = report.tensors.toSorted((a, b) => a.sparsity - b.sparsity);
    assertSays(await chartOf(page, 'Sparsity of each tensor'), [
      percent(total.sparsity),
      ...[bySparsity[0], bySparsity[bySparsity.length - 1]].flatMap((tensor) => [
        tensor.name,
        percent(tensor.sparsity),
      ]),
    ]);

    assertSays(await chartOf(page, 'Importance scores'), [
      total.threshold.toPrecision(4),
      total.n_keep.toLocaleString('en-US'),
      (total.n - total.n_keep).toLocaleString('en-US'),
    ]);

    assertSays(await chartOf(page, 'Where the mass is'), [
      percent(total.n_keep / total.n),
      percent(total.preserved_mass),
      guarantee(total.preserved_mass_bound),
      percent((scores.n_eff ?? 0) / total.n),
    ]);
  });

  test("the paper's bound is shown where it holds, and nowhere else", async () => {
    const { total } = SAMPLE_REPORTS.dryRun;
    const bound = preservedMassBoundPaper(total.n, total.n_keep, 1);
    assert.ok(bound !== null);
    for (const [report, expected] of [
      [SAMPLE_REPORTS.dryRun, `the paper's bound: ${guarantee(bound)}`],
      [SAMPLE_REPORTS.searched, null],
      [SAMPLE_REPORTS.layers, null],
    ] as const) {
      await using opened = await open(report);
      const text = plain(await opened.page.locator('figure', { hasText: 'Where the mass is' }).textContent());
      if (expected !== null) assertSays(text, [expected]);
      else assert.doesNotMatch(text, /paper/);
    }
  });

  test('names are text, whatever is in them', async () => {
    await using opened = await open(SAMPLE_REPORTS.hostile);
    const { page } = opened;
    assert.equal(await page.locator('script, img, b, i, main style, body title:not(svg title)').count(), 0);
    const shown = await page.locator('.tensors th[scope=row]').allTextContents();
    const withoutControls = (name: string) => name.replace(/[^\P{Cc}\t\n]/gu, '�');
    assert.deepEqual(shown.slice(0, HOSTILE_NAMES.length), HOSTILE_NAMES.map(withoutControls));
    const titles = await page.locator('figure text title').allTextContents();
    const onOneLine = (name: string) => withoutControls(name).replace(/[\t\n\u2028\u202e]/g, '�');
    for (const name of HOSTILE_NAMES) assert.ok(titles.includes(onOneLine(name)), name);
    assert.doesNotMatch(renderReport(SAMPLE_REPORTS.hostile), /[^\P{Cc}\t\n]/u);
  });

  test('names of families and what freezes axes are text too', async () => {
    await using opened = await open(SAMPLE_REPORTS.heads);
    const { page } = opened;
    assert.equal(await page.locator('script, img, b, i, main style, body title:not(svg title)').count(), 0);
    const withoutControls = (name: string) => name.replace(/[^\P{Cc}\t\n]/gu, '�');
    const expected = HOSTILE_NAMES.map(withoutControls);
    assert.deepEqual(await page.locator('.families th[scope=row]').allTextContents(), expected);
    assert.deepEqual(await page.locator('.frozen th[scope=row]').allTextContents(), expected);
    assert.deepEqual(
      await page.locator('.frozen td:nth-child(3)').allTextContents(),
      expected.map((name) => `${name} ${name}`),
    );
    const axes = await page.locator('.frozen td:nth-child(4)').allTextContents();
    assert.deepEqual(
      axes,
      expected.map((name, axis) => `${name}, axis ${axis}`),
    );
  });

  test('of many producers and frozen axes most are folded, none is left out', async () => {
    const { structures } = SAMPLE_REPORTS.channels;
    assert.ok(structures);
    await using opened = await open(SAMPLE_REPORTS.channels);
    const { page } = opened;
    const [first] = structures.families;
    const cell = page.locator('.families tbody tr').first().locator('td').last();
    assert.deepEqual(await cell.locator('bdi').allTextContents(), first.producers);
    assert.equal(await cell.locator('details bdi').count(), first.producers.length - 3);
    const frozen = page.locator('section', { has: page.getByRole('heading', { name: 'What is frozen' }) });
    const named = await frozen.locator('td:nth-child(4) div').allTextContents();
    assert.deepEqual(
      named.sort(),
      structures.frozen.map(({ tensor, axis }) => `${tensor}, axis ${axis}`).sort(),
    );
    assert.equal(await frozen.locator(':scope > .scroll tbody tr').count(), 24);
    assert.equal(await frozen.locator(':scope > details tbody tr').count(), 16);
    const text = plain(await frozen.textContent());
    assertSays(text, ['1,234 axes of weights', 'Of all axes the report lists the first 1,000.', '16 more']);
  });

  test('charts of structures speak of families and of what is removed', async () => {
    const report = SAMPLE_REPORTS.channels;
    const { total } = report;
    const families = report.structures?.families ?? [];
    await using opened = await open(report);
    const { page } = opened;
    const sparsest = families.reduce((a, b) => (b.sparsity > a.sparsity ? b : a));
    assertSays(await chartOf(page, 'Sparsity of each family'), [
      `Sparsity of ${families.length} families.`,
      `${sparsest.name} with ${percent(sparsest.sparsity)}`,
      `All together: ${percent(total.sparsity)}.`,
    ]);
    assertSays(await chartOf(page, 'Importance scores'), ['There is no one threshold.']);
    assertSays(await chartOf(page, 'Where the mass is'), [
      'share of the mass against share of channels',
      `The kept ${percent(total.n_keep / total.n)} of the channels hold ${percent(total.preserved_mass)}`,
    ]);
  });

  test('every warning is there, those of one kind below one heading and folded beyond three', async () => {
    const { warnings } = SAMPLE_REPORTS.hostile.verdict;
    await using opened = await open(SAMPLE_REPORTS.hostile);
    const { page } = opened;
    assert.deepEqual(
      (await page.locator('.warnings p').allTextContents()).map(plain).sort(),
      warnings.map(({ text }) => text.replace(/[^\P{Cc}\t\n]/gu, '�')).sort(),
    );
    const beside = await page.locator('section[aria-labelledby=layers] .warnings h3').allTextContents();
    assert.ok(beside.includes('Low density'), 'beside the layers that it is of');
    assert.equal(await page.locator('.warnings h3').count(), new Set(warnings.map(({ code }) => code)).size);
    const sparse = warnings.filter(({ code }) => code === 'low_density').length;
    assert.ok(sparse > 3);
    const kind = page.locator('.warnings li', { has: page.getByRole('heading', { name: 'Low density' }) });
    assert.equal(await kind.locator('details p').count(), sparse - 3);
  });

  test('what a search met far from the target is named beyond the axis', async () => {
    const { evaluation } = SAMPLE_REPORTS.searched;
    const worst = evaluation?.search?.evaluations.reduce((a, b) => ((b.loss ?? 0) > (a.loss ?? 0) ? b : a));
    await using opened = await open(SAMPLE_REPORTS.searched);
    const note = opened.page.locator('figure', { hasText: 'Loss against sparsity' }).locator('.note');
    assertSays(plain(await note.textContent()), [
      'Beyond the axis',
      `beta ${worst?.beta}: ${worst?.loss?.toPrecision(4)}`,
    ]);
  });

  test('tensors beyond forty are drawn from both ends and listed in full', async () => {
    const { tensors } = SAMPLE_REPORTS.hostile;
    await using opened = await open(SAMPLE_REPORTS.hostile);
    const { page } = opened;
    assert.equal(await page.locator('.tensors tbody tr').count(), tensors.length);
    const drawn = await page.locator('.wide text:has(title) title').allTextContents();
    const ranked = tensors.map(({ sparsity }) => sparsity).sort((a, b) => b - a);
    const sparsities = await page.locator('.wide g:last-of-type text').allTextContents();
    assert.equal(drawn.length, 40);
    assert.deepEqual(sparsities.map(plain), [...ranked.slice(0, 20), ...ranked.slice(-20)].map(percent));
  });

  test('what was not measured says how to have it measured', async () => {
    await using opened = await open(SAMPLE_REPORTS.layers);
    const { page } = opened;
    const section = (title: string) =>
      page.locator('section', { has: page.getByRole('heading', { name: title, exact: true }) });
    assert.match((await section('Dense against pruned').textContent()) ?? '', /evaluation dataset/);
    assert.match((await section('What sparsity costs').textContent()) ?? '', /sweep_betas.*target/);
  });

  test('a model that is not finite says so, and its points are named, not drawn', async () => {
    await using opened = await open(SAMPLE_REPORTS.broken);
    const { page } = opened;
    const pruned = page
      .locator('tr', { has: page.getByRole('rowheader', { name: 'Pruned, beta 0.25' }) })
      .first();
    assert.match((await pruned.textContent()) ?? '', /not finite/);
    assert.match((await page.locator('figure').first().textContent()) ?? '', /not drawn: beta 0\.25\./);
  });

  test('what curvature estimates stands beside what was measured, and is called an estimate', async () => {
    const { searched, broken } = SAMPLE_REPORTS;
    const trace = { hessian_trace: 74.12, standard_error: 7.1 };
    const bound = { per_trace: 2e-3, ...trace, bound: 2e-3 * 74.12, asymptotic: 1234.5 };
    const recipe = { ...searched.recipe, hessian_probes: 16 };
    const textOf = async (report: Report) => {
      await using opened = await open(report);
      return plain(
        await opened.page.evaluate('document.querySelector("section[aria-labelledby=curvature]").innerText'),
      );
    };
    const text = await textOf({ ...searched, recipe, loss_bound: bound });
    assert.ok(searched.evaluation);
    const { dense, pruned } = searched.evaluation;
    const change = (pruned.loss! - dense.loss!).toFixed(2);
    assert.ok(text.includes(`Measured on the evaluation data\t+${change}`), text);
    assert.match(text, /Estimated bound\tat most 0\.1482 ± 0\.028\n/);
    assert.match(
      text,
      /estimate, not a guarantee: 0\.002000 .* Hessian, 74\.12 ± 14, estimated from 16 random/s,
    );

    const negative = { ...bound, hessian_trace: -3, bound: null, asymptotic: null };
    const refused = await textOf({ ...broken, recipe, loss_bound: negative });
    assert.match(refused, /Measured on the evaluation data\tnot measured\n/);
    assert.match(refused, /Estimated bound\t–\n/);
    assert.match(refused, /−3\.000 ± 14, .*Of a negative trace there is no bound/s);

    const given = { ...bound, standard_error: null };
    const known = await textOf({
      ...searched,
      recipe: { ...recipe, hessian_trace: 74.12 },
      loss_bound: given,
    });
    assert.match(known, /Estimated bound\tat most 0\.1482\n.*Hessian, 74\.12, as given\./s);

    await using plainPage = await open({
      ...searched,
      loss_bound: { ...given, hessian_trace: null, bound: null },
    });
    assert.equal(await plainPage.page.locator('#curvature').count(), 0);
  });

  test('a dry run has no pruned sizes', async () => {
    await using opened = await open(SAMPLE_REPORTS.dryRun);
    const row = opened.page.locator('tr', {
      has: opened.page.getByRole('rowheader', { name: 'As they are' }),
    });
    assert.match((await row.textContent()) ?? '', /not written/);
  });

  test('prints charts whole and what is folded on the screen', async () => {
    await using opened = await open(SAMPLE_REPORTS.searched);
    const { page } = opened;
    const folded = page.locator('details table').first();
    assert.equal(await folded.isVisible(), false);
    await page.emulateMedia({ media: 'print' });
    assert.equal(await folded.isVisible(), true);
    const breaks =
      'Array.from(document.querySelectorAll("figure"), (figure) => getComputedStyle(figure).breakInside)';
    assert.deepEqual([...new Set((await page.evaluate(breaks)) as string[])], ['avoid']);
    assert.ok((await page.pdf({ format: 'A4' })).byteLength > 0);
  });
});

/** What runs in the page is given as text: the types of this project know no browser. */
const inPage = (body: string) => `(() => {
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });
  const chartTexts = (svg) => Array.from(svg.querySelectorAll('text'))
    .filter((text) => isShown(text) && text.textContent.trim() !== '');
  const labelOf = (text) => Array.from(text.childNodes, (node) => node.nodeName === 'title' ? '' : node.textContent).join('');
  const charts = Array.from(document.querySelectorAll('svg[role=img]')).filter(isShown);
  ${body}
})()`;

const DUPLICATE_IDS = inPage(`
  const ids = Array.from(document.querySelectorAll('[id]'), ({ id }) => id);
  return ids.filter((id, i) => ids.indexOf(id) !== i);`);

/** Texts of charts that reach out of the page, or that are smaller than 10 pixels once the chart is scaled. */
const CLIPPED_OR_TINY_TEXTS = inPage(`
  return charts.flatMap((svg) => chartTexts(svg).filter((text) => {
    const { left, right } = text.getBoundingClientRect();
    const size = parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a;
    return left < 0 || right > innerWidth || size < 10;
  })).map(labelOf);`);

/** Marks of charts that reach out of them. */
const SHAPES_OUTSIDE = inPage(`
  return charts.flatMap((svg) => {
    const frame = svg.getBoundingClientRect();
    return Array.from(svg.querySelectorAll('path, rect, line, circle')).filter((shape) => {
      const { left, right, top, bottom } = shape.getBoundingClientRect();
      return left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1;
    });
  }).map((shape) => shape.outerHTML);`);

/** Pairs of texts of one chart that lie on each other by more than rounding. */
const OVERLAPPING_TEXTS = inPage(`
  return charts.flatMap((svg) => {
    const boxes = chartTexts(svg).map((text) => [labelOf(text), text.getBoundingClientRect()]);
    return boxes.flatMap(([name, a], i) => boxes.slice(i + 1)
      .filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
      .map(([other]) => name + ' / ' + other));
  });`);

/** Texts whose contrast is below WCAG AA's 4.5. */
const FAINT_TEXTS = inPage(`
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return /, 0\\)$/.test(backgroundColor) ? backgroundOf(element.parentElement) : backgroundColor;
  };
  return Array.from(document.querySelectorAll('body *'))
    .filter((element) => isShown(element) && Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .filter((element) => !element.closest('title'))
    .filter((element) => {
      const style = getComputedStyle(element);
      const [a, b] = [luminance(element.closest('svg') ? style.fill : style.color), luminance(backgroundOf(element))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    })
    .map((element) => element.textContent.slice(0, 60));`);
