import { signal } from '@preact/signals';
import { say } from './announcements.ts';
import { route, setQuery } from './page-route.ts';

/** What a search is given, under the names that the address has for their ids. */
export const GIVEN = { model: 'Model', test: 'Test data', calibration: 'Calibration data' } as const;
export type Given = keyof typeof GIVEN;

interface Upload {
  /** From 0 to 1; null for none under way. */
  readonly share: number | null;
  readonly error: Error | null;
}

interface Arrival {
  readonly id: string;
  /** What the address asked for when it was begun. */
  readonly query: URLSearchParams;
}

const IDLE: Upload = { share: null, error: null };

/** They go on whatever is shown, and are seen again by who comes back. */
export const uploads = signal<Readonly<Record<Given, Upload>>>({
  model: IDLE,
  test: IDLE,
  calibration: IDLE,
});
/** What came while another screen had the address. */
const arrived = new Map<Given, Arrival>();

/** Uploads something, and writes its id into the address. False where that failed. */
export async function give(
  given: Given,
  send: (onProgress: (share: number) => void) => Promise<{ readonly id: string }>,
): Promise<boolean> {
  if (uploads.value[given].share !== null) return false;
  const { query } = route.value;
  const tell = (upload: Upload) => (uploads.value = { ...uploads.value, [given]: upload });
  tell({ share: 0, error: null });
  say(`${GIVEN[given]}: uploading`);
  try {
    const { id } = await send((share) => tell({ share, error: null }));
    arrived.set(given, { id, query });
    if (route.value.screen === 'new') takeArrived();
    tell(IDLE);
    say(`${GIVEN[given]}: uploaded`);
    return true;
  } catch (error) {
    tell({ share: null, error: error as Error });
    return false;
  }
}

/** Writes into the address what came meanwhile, unless a link has named another since. What else was given comes back with it. */
export function takeArrived(): void {
  const { query } = route.value;
  const isBare = Object.keys(GIVEN).every((given) => !query.has(given));
  const changes: Record<string, string> = {};
  if (isBare)
    for (const arrival of arrived.values()) Object.assign(changes, Object.fromEntries(arrival.query));
  for (const [given, arrival] of arrived)
    if (isBare || query.get(given) === arrival.query.get(given)) changes[given] = arrival.id;
  arrived.clear();
  setQuery(changes);
}
