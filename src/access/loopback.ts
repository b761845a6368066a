import { isIP } from 'node:net';

/** Whether a name or an address, IPv6 in brackets or without, is this machine's own: nobody else reaches what listens there. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '');
  return (
    address.toLowerCase() === 'localhost' ||
    address === '::1' ||
    (isIP(address) === 4 && address.startsWith('127.'))
  );
}

/** Whether nobody on the way can change what a URL answers, and the URL itself tells no secret. */
export function isTrustedUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}
