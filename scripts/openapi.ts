// npm run openapi: writes openapi.yaml, which test/http/openapi.test.ts holds against the code.
import { writeFile } from 'node:fs/promises';
import { renderOpenapi } from '../src/http/openapi.ts';

await writeFile(new URL('../openapi.yaml', import.meta.url), await renderOpenapi());
