import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** What is looked up here is not what the world knows: `::/3` and above are not given to anybody. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number];
const MAX_URL_CHARACTERS = 2000;

type AddressRange = [ipaddr.IPv4 | ipaddr.IPv6, number];
/** As `dns.lookup` with `all`. */
export type Resolve = (
  hostname: string,
  options: { readonly all: true; readonly family?: number },
  callback: (error: Error | null, found: { address: string; family: number }[]) => void,
) => void;

/** An address that a webhook is not sent to. Its text says nothing of what a name stands for inside this network. */
export class RefusedAddress extends Error {
  override readonly name = 'RefusedAddress';
}

/** A name, an address or a range of addresses, as `WEBHOOK_ALLOWED_HOSTS` lists them. */
export function isDestination(text: string): boolean {
  return rangeOf(text) !== null || /^(?=.*[a-z])[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(text);
}

/**
 * Where webhooks may go: to public addresses by https, and to what the operator allows by http too. The address is judged that is connected to, whatever a name stood for before:
 * who answers for a name may answer anything the next time.
 */
export class Destinations {
  readonly #names: ReadonlySet<string>;
  readonly #ranges: readonly AddressRange[];
  readonly #resolve: Resolve;

  /** @param allowed of these each may be private */
  constructor(allowed: readonly string[] = [], resolve: Resolve = systemLookup as Resolve) {
    const ranges = allowed.map(rangeOf);
    this.#ranges = ranges.filter((range) => range !== null);
    this.#names = new Set(allowed.filter((_, i) => ranges[i] === null).map((name) => name.toLowerCase()));
    this.#resolve = resolve;
  }

  /** Why nothing is sent there, whatever its name stands for; null where that is to be seen. */
  refusalOf(text: string): string | null {
    if (text.length > MAX_URL_CHARACTERS) return `must have at most ${MAX_URL_CHARACTERS} characters`;
    if (!URL.canParse(text)) return 'must be a URL that starts with https://';
    const url = new URL(text);
    const host = hostOf(url);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.#isAllowed(host)))
      return 'must start with https://, unless the operator has listed its host in WEBHOOK_ALLOWED_HOSTS';
    if (url.username !== '' || url.password !== '') return 'must hold no name or password';
    if (isIP(host) !== 0 && !this.#mayConnect(host)) return NOT_PUBLIC;
    return null;
  }

  /** For whatever opens a connection: only addresses come out that may be connected to. Is not asked where the host is an address. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    const family = typeof options.family === 'number' ? options.family : 0;
    this.#resolve(hostname, { all: true, family }, (error, found) => {
      if (error) return callback(error, '');
      const isTrusted = this.#names.has(hostname.toLowerCase());
      const open = found.filter(({ address }) => isTrusted || this.#mayConnect(address));
      const [first] = open;
      if (!first) return callback(new RefusedAddress(`the host ${NOT_PUBLIC}`), '');
      if (options.all) return callback(null, open);
      return callback(null, first.address, first.family);
    });
  };

  #isAllowed(host: string): boolean {
    return this.#names.has(host) || (isIP(host) !== 0 && this.#isInRange(host));
  }

  #mayConnect(address: string): boolean {
    return this.#isInRange(address) || isPublic(address);
  }

  #isInRange(address: string): boolean {
    const parsed = ipaddr.process(withoutZone(address));
    return this.#ranges.some(
      ([base, bits]) => base.kind() === parsed.kind() && parsed.match(base as never, bits),
    );
  }
}

const NOT_PUBLIC = 'must have a public address, unless the operator has listed it in WEBHOOK_ALLOWED_HOSTS';

/** Private, loopback, link-local, shared, multicast and reserved addresses are not, nor those that hold an IPv4 address for a gateway. */
function isPublic(address: string): boolean {
  // One that maps an IPv4 address is that address.
  const parsed = ipaddr.process(withoutZone(address));
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_IPV6 as never);
}

function withoutZone(address: string): string {
  return address.replace(/%.*$/, '');
}

/** As a connection has it: without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function rangeOf(text: string): AddressRange | null {
  const plain = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(plain) !== 0 && !plain.includes('%')) {
    const address = ipaddr.process(plain);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  }
  return isIP(text.replace(/\/\d+$/, '')) !== 0 && ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : null;
}
