import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EmpError } from '../core/errors.ts';
import type { ExecutionProvider } from '../runtime/session.ts';

const CHILD = fileURLToPath(new URL('./provider-check-child.ts', import.meta.url));

/**
 * Tries the providers in a process of its own, as jobs do: this one never loads onnxruntime. `cpu` is part of onnxruntime and not tried.
 * @param env of `childEnvironment`
 * @throws EmpError execution_provider_unavailable naming the provider that cannot start
 */
export function requireProviders(
  providers: readonly ExecutionProvider[],
  env: NodeJS.ProcessEnv,
): Promise<void> {
  if (providers.every((provider) => provider === 'cpu')) return Promise.resolve();
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [CHILD], { env }, (error, stdout) => {
      if (!error) return resolve();
      const reason = stdout || `the check ended with ${error.signal ?? `code ${error.code}`}`;
      reject(
        new EmpError('execution_provider_unavailable', `EXECUTION_PROVIDERS=${providers.join()}: ${reason}`),
      );
    });
  });
}
