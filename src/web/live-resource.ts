import { useEffect, useState } from 'preact/hooks';
import { read } from './api-requests.ts';
import { followEvents } from './follow-events.ts';

interface Loaded<T> {
  readonly data: T | null;
  readonly error: Error | null;
}

/** What was seen last: a step back shows it at once. */
const seen = new Map<string, unknown>();
const ENDED: readonly string[] = ['succeeded', 'failed', 'canceled'];
/** Positions and expected times move without an event. */
const LOOK_MS = 4000;

/** Keeps what was told under a key, for a step back. */
export function remember(key: string, data: unknown): void {
  seen.set(key, data);
}

/** What was kept under a key; null for nothing. */
export function remembered<T>(key: string): T | null {
  return (seen.get(key) as T | undefined) ?? null;
}

/** What is at a path; null for none. Of immutable things one look is enough. */
export function useResource<T>(path: string | null, { isFixed = false } = {}): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T> & { path: string | null }>({
    path,
    data: null,
    error: null,
  });
  useEffect(() => {
    if (path === null || (isFixed && seen.has(path))) return;
    const gone = new AbortController();
    read<T>(path, gone.signal).then(
      (data) => {
        remember(path, data);
        setLoaded({ path, data, error: null });
      },
      (error) => {
        if (!gone.signal.aborted) setLoaded({ path, data: null, error });
      },
    );
    return () => gone.abort();
  }, [path, isFixed]);
  if (path === null) return { data: null, error: null };
  const error = loaded.path === path ? loaded.error : null;
  return { data: remembered<T>(path), error };
}

export function isOver({ status }: { readonly status: string }): boolean {
  return ENDED.includes(status);
}

/** A job or a search as it goes on, by its events. */
export function useLive<T extends { readonly status: string }>(
  kind: 'jobs' | 'searches',
  id: string,
): Loaded<T> & { readonly replace: (data: T) => void } {
  const path = `/v1/${kind}/${id}`;
  const [, setCount] = useState(0);
  const [failed, setFailed] = useState<{ path: string; error: Error } | null>(null);
  const replace = (data: T) => {
    remember(path, data);
    setCount((count) => count + 1);
  };
  useEffect(() => {
    const gone = new AbortController();
    const { signal } = gone;
    const look = async () => {
      const data = await read<T>(path, signal);
      replace(data);
      return data;
    };
    const follow = async () => {
      if (isOver(await look())) return;
      let isLooking = false;
      const timer = setInterval(async () => {
        // One look at a time, however long the server is away.
        if (isLooking || document.visibilityState !== 'visible') return;
        isLooking = true;
        await look().catch(() => {});
        isLooking = false;
      }, LOOK_MS);
      signal.addEventListener('abort', () => clearInterval(timer));
      for await (const { event, data } of followEvents(`${path}/events`, signal))
        if (event === 'progress') await look();
        else replace(JSON.parse(data));
      clearInterval(timer);
    };
    setFailed(null);
    follow().catch((error) => {
      if (!signal.aborted) setFailed({ path, error });
    });
    return () => gone.abort();
  }, [path]);
  return {
    data: remembered<T>(path),
    error: failed?.path === path ? failed.error : null,
    replace,
  };
}
