import { EmpError } from '../core/errors.ts';
import { checkProviders } from '../runtime/session.ts';
import { readChildSettings } from './child-settings.ts';

/** A worker's child that starts its providers. Why one cannot goes to stdout, and the code is 1. */
try {
  await checkProviders(readChildSettings());
} catch (error) {
  if (!(error instanceof EmpError)) throw error;
  process.stdout.write(error.message);
  process.exitCode = 1;
}
