import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { said } from './announcements.ts';
import { giveKey, keyWanted } from './api-key.ts';
import { CompareScreen } from './compare-screen.tsx';
import { lost, retryNow } from './connection.ts';
import { JobScreen } from './job-screen.tsx';
import { ListScreen } from './list-screen.tsx';
import { NewScreen } from './new-screen.tsx';
import { hrefOf, route, type Screen } from './page-route.ts';
import { SearchScreen } from './search-screen.tsx';

const SCREENS: Readonly<Record<Screen, () => JSX.Element>> = {
  new: NewScreen,
  search: () => <SearchScreen key={route.value.id} id={route.value.id} />,
  job: () => <JobScreen key={route.value.id} id={route.value.id} />,
  list: ListScreen,
  compare: CompareScreen,
  nowhere: Nowhere,
};

const NAME = 'Effective Model Pruning';
const TITLES: Readonly<Record<Screen, string>> = {
  new: NAME,
  search: `Search · ${NAME}`,
  job: `Job · ${NAME}`,
  list: `Jobs and searches · ${NAME}`,
  compare: `Side by side · ${NAME}`,
  nowhere: `Nothing here · ${NAME}`,
};

/** What stands around every screen, and the screen that the address asks for. */
export function PageFrame() {
  const { screen, id } = route.value;
  const Shown = SCREENS[screen];
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = TITLES[screen];
    // Whoever came by a link goes on reading at the top of what it led to.
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    isFirst.current = false;
  }, [screen, id]);
  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <header class="top">
        <a class="brand" href={hrefOf('/')}>
          <Mark /> {NAME}
        </a>
        <nav aria-label="Main">
          <Tab href={hrefOf('/')} isHere={screen === 'new'}>
            New
          </Tab>
          <Tab href={hrefOf('/list')} isHere={screen === 'list'}>
            Jobs and searches
          </Tab>
          <a href="/docs">API</a>
        </nav>
      </header>
      <LostBanner />
      <main id="main" tabIndex={-1} ref={main}>
        <Shown />
      </main>
      <p class="unseen" role="status">
        {said}
      </p>
      <KeyDialog />
    </>
  );
}

function Tab({ href, isHere, children }: { href: string; isHere: boolean; children: ComponentChildren }) {
  return (
    <a href={href} {...(isHere && { 'aria-current': 'page' as const })}>
      {children}
    </a>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M1 1h4v14H1zM6 5h4v10H6zM11 10h4v5h-4z" />
    </svg>
  );
}

function Nowhere() {
  return (
    <section>
      <h1>There is nothing here</h1>
      <p>
        The link may be cut off. Start with <a href={hrefOf('/')}>a new search</a> or look at{' '}
        <a href={hrefOf('/list')}>what there is</a>.
      </p>
    </section>
  );
}

/** Said once, not every second: only the eye follows the countdown. */
function LostBanner() {
  const away = lost.value;
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!away) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [away]);
  return (
    <div role="alert">
      {away && (
        <p class="banner">
          <span>
            <strong>The server does not answer.</strong> What was begun goes on there; this page takes it up
            again.
          </span>
          <span class="muted" aria-hidden="true">
            Next try in {Math.max(0, Math.ceil((away.retryAt - now) / 1000))} s
          </span>
          <button type="button" class="secondary" onClick={retryNow}>
            Try now
          </button>
        </p>
      )}
    </div>
  );
}

function KeyDialog() {
  const wanted = keyWanted.value;
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (wanted) dialog.current?.showModal();
    else dialog.current?.close();
  }, [wanted]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="key-title"
      onClose={() => {
        // Escape closes it, but nothing goes on without a key.
        if (keyWanted.value) dialog.current?.showModal();
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const key = field.current?.value.trim() ?? '';
          if (key === '') return;
          giveKey(key);
          if (field.current) field.current.value = '';
        }}
      >
        <h2 id="key-title">This service asks for a key or a token</h2>
        <p role="alert" class="bad">
          {wanted?.refusal ? `The key was refused: ${wanted.refusal}` : ''}
        </p>
        <label class="field">
          API key or token
          <input ref={field} type="password" autocomplete="off" required />
        </label>
        <p class="hint">It stays in this tab until the tab is closed.</p>
        <button type="submit">Use this key</button>
      </form>
    </dialog>
  );
}
