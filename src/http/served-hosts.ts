import { isIP, isIPv6 } from 'node:net';
import { isLoopback } from '../access/loopback.ts';
import { EmpError } from '../core/errors.ts';

/**
 * The names and addresses under which the service answers. A page of any site may point a name of its own at this machine once a browser has loaded it
 * (DNS rebinding); then it is of the same origin to the browser, and only the name in `Host` tells. An address cannot be pointed elsewhere. Ports do not count:
 * behind a mapped port the service does not know its own, and such a page uses the right one anyway.
 */
export class ServedHosts {
  readonly #isBoundToAll: boolean;
  readonly #names: ReadonlySet<string>;
  readonly #listed: ReadonlySet<string>;
  /** What the last request was rightly for, as it was written: most clients write the same again. */
  #lastServed = '';

  /**
   * @param boundTo where the service listens: a name or an address
   * @param listed further names and addresses
   */
  constructor(boundTo: string, listed: readonly string[]) {
    this.#listed = new Set(listed.map(normalize));
    this.#names = new Set(['localhost', normalize(boundTo), ...this.#listed]);
    this.#isBoundToAll = this.#names.has('0.0.0.0') || this.#names.has('[::]');
  }

  /**
   * Whether requests for an authority, a host with or without a port, are for this service.
   * @throws EmpError `malformed_host`
   */
  serves(authority: string): boolean {
    if (authority === this.#lastServed) return true;
    const url = parseHost(authority);
    if (!url) throw malformedHost(`${JSON.stringify(authority)} is not the name or address of a host`);
    if (!this.#has(hostnameOf(url))) return false;
    this.#lastServed = authority;
    return true;
  }

  #has(hostname: string): boolean {
    if (this.#names.has(hostname)) return true;
    const address = hostname.replace(/^\[|\]$/g, '');
    if (isIP(address) === 0) return false;
    return this.#isBoundToAll || isLoopback(address);
  }

  /** Whether the operator has listed a host, whose pages are trusted then. */
  lists(hostname: string): boolean {
    return this.#listed.has(hostname);
  }
}

/** The host of a URL in the one form that it is compared in: of small letters, addresses shortened, without a dot at its end. */
export function hostnameOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, '');
}

/** What a `Host` header names, as a URL of the scheme; null where it is none. */
export function parseHost(header: string, scheme = 'http:'): URL | null {
  return /^[^\s/?#@\\]+$/.test(header) ? URL.parse(`${scheme}//${header}`) : null;
}

export function malformedHost(message: string): EmpError {
  return new EmpError('malformed_host', message, [{ path: 'Host', message: 'must be given once' }]);
}

function normalize(host: string): string {
  const url = parseHost(isIPv6(host) ? `[${host}]` : host);
  return url ? hostnameOf(url) : host;
}
