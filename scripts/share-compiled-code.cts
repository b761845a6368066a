/**
 * Loaded by every Node process of the tests: the service's children, too, take compiled code from one folder. In the service they may not, since a child reads what strangers upload
 * (`src/jobs/child-settings.ts`).
 */
// A Node that some tool brings may have none.
process.getBuiltinModule?.('node:module').enableCompileCache?.(`${__dirname}/../node_modules/.cache/node`);
