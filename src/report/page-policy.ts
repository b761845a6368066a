/** What a browser may do with a report's page: nothing is loaded and no script runs, whatever got into it. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
