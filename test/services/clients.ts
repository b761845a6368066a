import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

/** The first Python that has `requests`; the services' installer makes sure that there is one, and `curl`. */
export function findPython(): string {
  const found = ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-c', 'import requests']).status === 0,
  );
  assert.ok(found, 'no python3 with requests: run scripts/install-test-services.sh');
  return found;
}
