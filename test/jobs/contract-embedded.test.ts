import { contractOn } from './contract-on.ts';

contractOn('embedded', { settings: () => ({}) });
