import type { HostileRequest } from '../../scripts/fuzz/attack.ts';

/** Requests by what they are, each sent once or several times at the same time. */
export type Attacks = Readonly<Record<string, { request: () => HostileRequest; times?: number }>>;
