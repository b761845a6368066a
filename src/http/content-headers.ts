import { PAGE_POLICY } from '../report/page-policy.ts';

/** What a response tells a browser about its content. */

const NO_SNIFFING = { 'x-content-type-options': 'nosniff' } as const;

/** Uploaded content is never a page of this site, whatever a browser takes it for. */
export const UPLOADED_CONTENT = {
  ...NO_SNIFFING,
  'content-security-policy': "sandbox; default-src 'none'",
} as const;

/** The page holds its styles and charts itself, and no script. */
export const REPORT_PAGE_CONTENT = {
  ...NO_SNIFFING,
  'content-security-policy': PAGE_POLICY,
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
