/** What the documentation's page lacks for those who read it with a screen reader, by keyboard, or with weak eyes: test/web/documentation.test.ts says what. */
export const DOCUMENTATION_STYLE = `
/* The bar holds another project's logo and a choice of one document. */
.swagger-ui .topbar { display: none }
html:not(.dark-mode) {
  .swagger-ui .info .title small { background: #5b6270 }
  .swagger-ui .info .title small.version-stamp { background: #4a6a02 }
  .swagger-ui :is(.info a, .info .url, .info .link) { color: #0b5cad }
  .swagger-ui .opblock.opblock-get .opblock-summary-method { background: #0b62b3 }
  .swagger-ui .opblock.opblock-post .opblock-summary-method { background: #1b7449 }
  .swagger-ui .opblock.opblock-put .opblock-summary-method { background: #8a4b00 }
  .swagger-ui .opblock.opblock-delete .opblock-summary-method { background: #b3261e }
  .swagger-ui .btn.authorize { color: #1b7449; border-color: #1b7449 }
  .swagger-ui .json-schema-2020-12-expand-deep-button { color: #56606b }
}
`;

/** A landmark around all, headings in order, and no link within the button that opens an operation. */
export const DOCUMENTATION_SCRIPT = `
const mend = () => {
  const about = document.querySelector('.information-container');
  about?.setAttribute('role', 'region');
  about?.setAttribute('aria-label', 'About');
  for (const heading of document.querySelectorAll(':is(h3, h4):not([aria-level])'))
    heading.setAttribute('aria-level', heading.matches('h3.opblock-tag, .models > h4') ? '2' : '3');
  for (const link of document.querySelectorAll('.opblock-summary-control a[href]')) link.removeAttribute('href');
};
mend();
new MutationObserver(mend).observe(document, { childList: true, subtree: true });
`;
