import { PAGE_POLICY } from '../report/page-policy.ts';

/** What a response tells a browser about its content. */

const NO_FRAMES = "frame-ancestors 'none'";

/** Of every answer: it is what it says it is, is no page, is shown in no frame and told to no other site. */
export const ANY_CONTENT = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': `default-src 'none'; ${NO_FRAMES}`,
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** Uploaded content is never a page of this site, whatever a browser takes it for. */
export const UPLOADED_CONTENT = {
  'content-security-policy': `sandbox; default-src 'none'; ${NO_FRAMES}`,
} as const;

/** The page holds its styles and charts itself, and no script. */
export const REPORT_PAGE_CONTENT = {
  'content-security-policy': `${PAGE_POLICY}; ${NO_FRAMES}`,
} as const;

/** The page at `/`: its own script and styles, this service, and nothing else. `blob:` is what it has fetched with a key. */
export const FRONT_PAGE_CONTENT = {
  'content-security-policy': `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; form-action 'none'; base-uri 'none'; ${NO_FRAMES}`,
} as const;

/** By directive: the documentation's page has scripts of its own, and loads nothing from elsewhere. */
export const DOCUMENTATION_POLICY = {
  'default-src': "'self'",
  'img-src': "'self' data:",
  'style-src': "'self' 'unsafe-inline'",
  'base-uri': "'self'",
  'object-src': "'none'",
  'frame-ancestors': "'none'",
} as const;
