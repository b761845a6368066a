import type { FastifyReply } from 'fastify';

/** Sends JSON as it is: parsing and checking it would hold others up. */
export function sendJson(reply: FastifyReply, json: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(json);
}
