/** Sends JSON, or nothing, with a key. */
export function sendWithKey(
  url: string,
  key: string,
  method: string,
  body?: object,
  headers: object = {},
): Promise<Response> {
  return fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
  });
}
