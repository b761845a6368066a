import type { Decision } from './decision-schema.ts';
import { STATUSES } from './decision-statuses.ts';
import { escapeMarkdown, markdownTable } from './markdown.ts';

/** Signs beside a badge, for those who do not see colours. */
export const SIGNS = { good: '✓', bad: '✕', warn: '!', plain: '·' } as const;

/** The first screen: badge, sentence, figures, picture of the front or sweep, what to do next. */
export function decisionMarkdown(
  { status, badge, sentence, figures, next }: Decision,
  points: string | null,
): string {
  return [
    `**${SIGNS[STATUSES[status].tone]} ${badge}.** ${escapeMarkdown(sentence)}`,
    markdownTable(
      ['', 'Now', 'Interval', 'Before'],
      figures.map(({ title, text, interval, before }) => [title, text, interval, before]),
    ),
    ...(points === null ? [] : [points]),
    ...(next.length === 0 ? [] : ['**Next:**', next.map(nextLine).join('\n')]),
  ].join('\n\n');
}

function nextLine({ text, recipe, request }: Decision['next'][number], place: number): string {
  const change = recipe === null ? '' : ` ${inlineCode(JSON.stringify(recipe))}`;
  const call = request === null ? '' : ` ${inlineCode(request)}`;
  return `${place + 1}. ${escapeMarkdown(text)}${change}${call}`;
}

/** Backticks and ends of lines would end it. */
const inlineCode = (text: string): string => `\`${text.replace(/[`\s]+/g, ' ')}\``;
