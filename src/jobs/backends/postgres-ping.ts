/** A write that every BullMQ database takes unless it is full, a replica, or without BullMQ's tables. */
export const PING_SQL = `INSERT INTO meta (queue, field, value) VALUES ('emp-ping', 'at', clock_timestamp()::text)
  ON CONFLICT (queue, field) DO UPDATE SET value = excluded.value`;
