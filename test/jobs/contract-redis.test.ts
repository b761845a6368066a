import { startRedis } from '../services/redis.ts';
import { contractOn } from './contract-on.ts';

contractOn('redis', { start: () => startRedis(), settings: (redisUrl) => ({ redisUrl }) });
