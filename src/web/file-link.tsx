import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { hasKey } from './api-key.ts';
import { request } from './api-requests.ts';
import { Refusal } from './drop-zone.tsx';

interface FileLinkProps {
  readonly href: string;
  readonly name: string;
  readonly accept?: string;
  readonly isMain?: boolean;
  /** Whether it is to be read rather than saved. */
  readonly isPage?: boolean;
  readonly children: ComponentChildren;
}

/** A file of the service: a link, or where a key is needed, which no link can send, what is fetched with it and saved. */
export function FileLink({
  href,
  name,
  accept = '*/*',
  isMain = false,
  isPage = false,
  children,
}: FileLinkProps) {
  const [error, setError] = useState<Error | null>(null);
  const fetchWithKey = async () => {
    setError(null);
    try {
      const response = await request(href, { headers: { accept } });
      const url = URL.createObjectURL(await response.blob());
      const link = Object.assign(document.createElement('a'), {
        href: url,
        download: name.split('/').at(-1),
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (failure) {
      setError(failure as Error);
    }
  };
  return (
    <>
      <a
        class={isMain ? 'button' : 'button secondary'}
        href={href}
        {...(isPage ? { target: '_blank', rel: 'noreferrer' } : { download: name.split('/').at(-1) })}
        onClick={(event) => {
          if (!hasKey.value) return;
          event.preventDefault();
          void fetchWithKey();
        }}
      >
        {children}
      </a>
      {error && <Refusal error={error} />}
    </>
  );
}
