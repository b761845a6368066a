import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Destinations, isDestination } from '../../src/webhooks/destinations.ts';

/** By the registries of addresses for special purposes (RFC 6890 and its successors). */
const NOT_PUBLIC = [
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.8',
  '192.0.2.1',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::2',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b:1::1',
  '100::1',
  '2001:db8::1',
  '2002:a00:1::',
  '4000::1',
  'fc00::1',
  'fd12::1',
  'fe80::1',
  'fec0::1',
  'ff02::1',
];
const PUBLIC = ['1.1.1.1', '8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'];

const urlOf = (address: string, protocol = 'https:') =>
  `${protocol}//${address.includes(':') ? `[${address}]` : address}/hook`;

/** What a connection would be opened to. */
function lookUp(destinations: Destinations, name: string) {
  return new Promise<string[]>((resolve, reject) =>
    destinations.lookup(name, { all: true }, (error, found) =>
      error ? reject(error) : resolve((found as { address: string }[]).map(({ address }) => address)),
    ),
  );
}

/** A name that stands for these addresses. */
const standingFor =
  (...addresses: string[]): NonNullable<ConstructorParameters<typeof Destinations>[1]> =>
  (_name, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );

describe('addresses that are not public', () => {
  for (const address of NOT_PUBLIC) {
    test(`${address} is refused as it is, and of a name`, async () => {
      assert.match(new Destinations().refusalOf(urlOf(address)) ?? '', /public address/);
      const named = new Destinations([], standingFor(address));
      await assert.rejects(lookUp(named, 'hooks.example.com'), { name: 'RefusedAddress' });
    });
  }

  test('are left out where a name has public ones too', async () => {
    const named = new Destinations([], standingFor('10.0.0.1', '8.8.8.8', 'fd00::1'));
    assert.deepEqual(await lookUp(named, 'hooks.example.com'), ['8.8.8.8']);
  });

  test('are not told to whoever asks', async () => {
    const named = new Destinations([], standingFor('10.77.0.1'));
    await assert.rejects(lookUp(named, 'db.internal'), ({ message }: Error) => !message.includes('10.77'));
  });

  test('pass where the operator lists them, their name or their range', async () => {
    const url = 'http://10.0.0.7:8080/hook';
    for (const [allowed, isAllowed] of [
      ['10.0.0.7', true],
      ['10.0.0.0/8', true],
      ['10.0.0.8', false],
      ['192.168.0.0/16', false],
      ['::/0', false],
    ] as const)
      assert.equal(new Destinations([allowed]).refusalOf(url) === null, isAllowed, allowed);
    const named = new Destinations(['Hooks.internal'], standingFor('10.0.0.7'));
    assert.equal(named.refusalOf('http://hooks.internal/'), null);
    assert.deepEqual(await lookUp(named, 'hooks.internal'), ['10.0.0.7']);
    await assert.rejects(lookUp(named, 'other.internal'), { name: 'RefusedAddress' });
    const ranged = new Destinations(['10.0.0.0/8'], standingFor('10.0.0.7'));
    assert.deepEqual(await lookUp(ranged, 'other.internal'), ['10.0.0.7']);
  });
});

describe('public addresses', () => {
  for (const address of PUBLIC)
    test(`${address} passes by https, and not by http`, async () => {
      assert.equal(new Destinations().refusalOf(urlOf(address)), null);
      assert.match(new Destinations().refusalOf(urlOf(address, 'http:')) ?? '', /https/);
      assert.deepEqual(await lookUp(new Destinations([], standingFor(address)), 'a.example'), [address]);
    });
});

describe('the URL of a webhook', () => {
  for (const [url, reason] of [
    ['ftp://example.com/', /https/],
    ['file:///etc/passwd', /https/],
    ['http://example.com/', /https/],
    ['https://user:secret@example.com/', /no name or password/],
    ['https://', /must be a URL/],
    ['hook', /must be a URL/],
    [`https://example.com/${'a'.repeat(2000)}`, /2000 characters/],
    // Each is 127.0.0.1 to whoever connects.
    ['https://2130706433/', /public address/],
    ['https://0x7f.1/', /public address/],
    ['https://127.1/', /public address/],
    ['https://%31%32%37.0.0.1/', /public address/],
  ] as const)
    test(`${url.slice(0, 40)} is refused`, () =>
      assert.match(new Destinations().refusalOf(url) ?? '', reason));

  test('may have a port and a query', () =>
    assert.equal(new Destinations().refusalOf('https://example.com:8443/hook?token=a'), null));
});

test('a list of destinations has names, addresses and ranges', () => {
  for (const right of ['hooks.internal', 'localhost', '10.0.0.1', '10.0.0.0/8', '::1', '[::1]', 'fd00::/8'])
    assert.equal(isDestination(right), true, right);
  for (const wrong of ['', 'a b', 'http://a', 'a:80', '10.0.0.0/33', '10.0.0', '*', '-a', 'fe80::1%eth0'])
    assert.equal(isDestination(wrong), false, wrong);
});
