import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { connectRedis } from '../../src/jobs/backends/redis.ts';
import { closeConnection } from '../../src/jobs/close-connection.ts';
import { startRedis } from '../services/redis.ts';

/** It ends with its connections: one that tried to come back would keep this process. */
test('what waits for a server that is away does not keep a queue from being closed', async () => {
  const redis = await startRedis();
  const backend = await connectRedis(redis.url);
  const queues = (['short', 'long'] as const).map((lane) => backend.createQueue(lane));
  for (const queue of queues) queue.on('error', () => {});
  await Promise.all(queues.map((queue) => queue.waitUntilReady()));
  await redis.stop();
  const [one, other] = queues;
  // The connection knows by now that its server is gone, and the next question waits for that to come back.
  for (const queue of queues) await assert.rejects(queue.getJobCounts());
  const refused = [...queues.map((queue) => queue.getJobCounts()), one.close()].map((asked) =>
    assert.rejects(asked),
  );
  await closeConnection(other, pino({ level: 'silent' }));
  await Promise.all(refused);
  one.disconnect().catch(() => {});
  await backend.close();
});
