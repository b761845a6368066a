import { startPostgres } from '../services/postgres.ts';
import { contractOn } from './contract-on.ts';

contractOn('postgres', { start: () => startPostgres(), settings: (databaseUrl) => ({ databaseUrl }) });
