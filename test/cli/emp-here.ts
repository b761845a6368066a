import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { runProgram } from '../../src/cli/command-line.ts';
import { openRemoteService } from '../../src/cli/remote-service.ts';
import { tellEnd } from '../../src/cli/tell-end.ts';
import { parseConfig } from '../../src/config.ts';
import { type LocalService, openLocalService } from '../../src/local-service.ts';
import type { Ended, Place } from './run-emp.ts';

/** What `emp` says and ends with in a place, without a process of its own. */
export type EmpHere = (place: Place, ...args: readonly string[]) => Promise<Ended>;

/**
 * The command line in this process, for tests that are not of processes: one service, opened when it is first asked for, answers all tests of the `describe`.
 * One run at a time: it changes the folders that this process works in.
 */
export function openEmpHere(): EmpHere {
  const shared = new AsyncDisposableStack();
  const root = tmpdir();
  let opening: Promise<LocalService> | null = null;
  after(() => shared.disposeAsync());

  async function openShared(): Promise<LocalService> {
    const scratch = shared.adopt(await mkdtemp(join(root, 'emp-here-')), (path) =>
      rm(path, { recursive: true, force: true, maxRetries: 5 }),
    );
    // Of its children, as of those of the process.
    using _ = replaceTemporary(scratch);
    const service = await openLocalService(parseConfig({}), scratch, (error) => assert.fail(error));
    return shared.use(service);
  }

  async function openService(server: string | undefined) {
    if (server !== undefined) return await openRemoteService(server, undefined);
    opening ??= openShared();
    const { fetch, scratch, isLocal } = await opening;
    return { fetch, scratch, isLocal, [Symbol.asyncDispose]: async () => {} };
  }

  return async ({ path, temporary }, ...args) => {
    const said = { stdout: '', stderr: '' };
    const write = (name: keyof typeof said) => (text: string | Uint8Array) => {
      said[name] += text;
      return true;
    };
    const terminal = {
      stdout: { isTTY: false, write: write('stdout') },
      stderr: { isTTY: false, write: write('stderr') },
    };
    await using resources = new AsyncDisposableStack();
    using _ = replaceTemporary(temporary);
    const before = process.cwd();
    process.chdir(path);
    try {
      const code = await runProgram(args, {
        ...{ version: '', program: 'emp', terminal, resources, openService },
        signal: new AbortController().signal,
        serve: () => assert.fail('a service is a process'),
      }).catch((error) => tellEnd(error, terminal));
      await resources.disposeAsync();
      return { code, ...said };
    } finally {
      process.chdir(before);
    }
  };
}

/** Another folder for temporary files, until it is disposed of. */
function replaceTemporary(path: string): Disposable {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = path;
  return {
    [Symbol.dispose]() {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    },
  };
}
