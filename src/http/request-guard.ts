import type { IncomingMessage } from 'node:http';
import { EmpError } from '../core/errors.ts';
import { hostnameOf, malformedHost, parseHost, type ServedHosts } from './served-hosts.ts';

/** They change nothing (RFC 9110, 9.2.1), and no page of another site can read what they answer. */
const SAFE_METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** Of requests that a page of this service makes, or the user of a browser does. */
const OWN_SITES: ReadonlySet<unknown> = new Set(['same-origin', 'none', undefined]);

/**
 * Refuses what a browser could be made to send by a page of another site, and what Node lets pass for HTTP. Programs are no browsers: what they send
 * has no `Origin`, and any `Host` that they were told to use.
 * @throws EmpError `malformed_host`, `misdirected_request`, `cross_site_request`, `expectation_failed`
 */
export function checkRequest(request: IncomingMessage, hosts: ServedHosts): void {
  const host = soleHost(request);
  if (host !== undefined) checkHost(targetAuthority(request.url) ?? host, hosts);
  if (!SAFE_METHODS.has(request.method)) checkOrigin(request, host, hosts);
  const { expect } = request.headers;
  if (expect === undefined || expect.toLowerCase() === '100-continue') return;
  throw new EmpError('expectation_failed', 'the only expectation that can be met is 100-continue', [
    { path: 'Expect', message: 'must be 100-continue' },
  ]);
}

/** RFC 9112, 3.2: HTTP/1.1 has exactly one. HTTP/1.0, which no browser speaks any more, may have none. */
function soleHost({ headers, rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i].length === 4 && rawHeaders[i].toLowerCase() === 'host') count++;
  if (count === 1 || (count === 0 && httpVersion === '1.0')) return headers.host;
  throw malformedHost(`a request has one Host header, and this one has ${count}`);
}

/** In a request to a proxy the target itself names the host, and `Host` does not count (RFC 9112, 3.2.2). */
function targetAuthority(target = ''): string | null {
  return /^https?:\/\/([^/?#]*)/i.exec(target)?.[1] ?? null;
}

function checkHost(authority: string, hosts: ServedHosts): void {
  if (hosts.serves(authority)) return;
  throw new EmpError(
    'misdirected_request',
    `${authority} is no name of this service: use localhost or its address, or list the name in ALLOWED_HOSTS`,
    [{ path: 'Host', message: 'must be localhost, the address that the service is bound to, or listed' }],
  );
}

function checkOrigin(
  { method, headers }: IncomingMessage,
  host: string | undefined,
  hosts: ServedHosts,
): void {
  const { origin, 'sec-fetch-site': site } = headers;
  const url = origin === undefined ? null : URL.parse(origin);
  if (url && hosts.lists(hostnameOf(url))) return;
  // TLS may end at a proxy: the scheme is the page's.
  const isOwn = origin === undefined || (url && url.host === parseHost(host ?? '', url.protocol)?.host);
  if (isOwn && OWN_SITES.has(site)) return;
  const page = url ? `a page of ${url.origin}` : 'a page of another site';
  throw new EmpError(
    'cross_site_request',
    `${method} is refused to ${page}: use a page of this service, or list its host in ALLOWED_HOSTS`,
    [{ path: isOwn ? 'Sec-Fetch-Site' : 'Origin', message: 'must be of this service, or absent' }],
  );
}
