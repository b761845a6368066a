import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

// Preloaded into a process: notes every module that it loads, by `import` or by `require`.
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.MALLOC_TEST_MODULES, `${process.pid} ${url}\n`);
    return next(url, context);
  },
});
