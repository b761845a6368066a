import { EmpError } from '../core/errors.ts';

/**
 * The media type of `offered` that an `Accept` header likes best (RFC 9110, 12.5.1); of equals the first offered. Parameters other than `q`
 * are passed over: `negotiator`, and `accepts` on it, would refuse `application/json; charset=utf-8`, which many clients send.
 * @throws EmpError `not_acceptable` where it wants none of them
 */
export function preferredMediaType<T extends string>(accept: string | undefined, offered: readonly T[]): T {
  const wanted = (accept?.trim() || '*/*').split(',').map(parseRange);
  wanted.sort((a, b) => specificity(b.pattern) - specificity(a.pattern));
  const qualityOf = (type: T) => wanted.find(({ pattern }) => covers(pattern, type))?.quality ?? 0;
  const [best] = offered.toSorted((a, b) => qualityOf(b) - qualityOf(a));
  if (qualityOf(best) > 0) return best;
  throw new EmpError('not_acceptable', `this resource comes as ${offered.join(' or ')}, not as ${accept}`, [
    { path: 'Accept', message: `must allow ${offered.join(' or ')}` },
  ]);
}

function parseRange(text: string): { pattern: string; quality: number } {
  const [pattern = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith('q='));
  return { pattern, quality: quality ? Number(quality.slice(2)) || 0 : 1 };
}

function covers(pattern: string, type: string): boolean {
  if (pattern === '*/*') return true;
  return pattern.endsWith('/*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type;
}

function specificity(pattern: string): number {
  return pattern === '*/*' ? 0 : pattern.endsWith('/*') ? 1 : 2;
}
