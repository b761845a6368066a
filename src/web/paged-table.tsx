import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { count } from '../report/wording.ts';

const ROWS = 50;

interface PagedTableProps<T> {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  /** The cells of a row, of which the first heads it. */
  readonly cells: (row: T) => readonly ComponentChildren[];
  readonly noun: string;
}

/** A table of which only a page is in the document, and that is narrowed by name: ten thousand rows cost what fifty do. */
export function PagedTable<T>({ caption, columns, rows, keyOf, cells, noun }: PagedTableProps<T>) {
  const id = useId();
  const [first, setFirst] = useState(0);
  const [wanted, setWanted] = useState('');
  const part = wanted.trim().toLowerCase();
  const found = part === '' ? rows : rows.filter((row) => keyOf(row).toLowerCase().includes(part));
  const from = Math.min(first, Math.max(0, found.length - 1));
  const shown = found.slice(from, from + ROWS);
  const isLong = rows.length > ROWS;
  return (
    <>
      {isLong && (
        <p class="pager">
          <label>
            Name contains{' '}
            <input
              type="search"
              value={wanted}
              onInput={(event) => {
                setWanted(event.currentTarget.value);
                setFirst(0);
              }}
            />
          </label>
          <span id={`${id}-shown`} role="status">
            {found.length === 0
              ? `No ${noun}`
              : `${count(from + 1)}–${count(from + shown.length)} of ${count(found.length)} ${noun}`}
          </span>
          <button
            type="button"
            class="secondary"
            disabled={from === 0}
            onClick={() => setFirst(Math.max(0, from - ROWS))}
          >
            Previous
          </button>
          <button
            type="button"
            class="secondary"
            disabled={from + ROWS >= found.length}
            onClick={() => setFirst(from + ROWS)}
          >
            Next
          </button>
        </p>
      )}
      <ScrollTable caption={caption} columns={columns}>
        {shown.map((row) => {
          const [head, ...others] = cells(row);
          return (
            <tr key={keyOf(row)}>
              <th scope="row">{head}</th>
              {others.map((cell, i) => (
                // Cells have no names of their own but those of their columns.
                <td key={columns[i + 1]}>{cell}</td>
              ))}
            </tr>
          );
        })}
      </ScrollTable>
    </>
  );
}

interface ScrollTableProps {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly children: ComponentChildren;
}

/** Scrolls within itself where it is wider than the window. */
export function ScrollTable({ caption, columns, children }: ScrollTableProps) {
  return (
    <ScrollArea label={caption}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </ScrollArea>
  );
}

/** What scrolls is reached by keyboard. */
export function ScrollArea({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without it no key would scroll it
    <section class="scroll" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
