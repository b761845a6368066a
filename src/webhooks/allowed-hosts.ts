import { z } from 'zod';
import { isDestination } from './destinations.ts';

/** The setting `WEBHOOK_ALLOWED_HOSTS`. */
export const allowedHostsSchema = z
  .string()
  .transform((text) => text.split(',').map((host) => host.trim()))
  .pipe(
    z.array(
      z.string().refine(isDestination, {
        error: 'must list names, addresses or ranges such as 10.0.0.0/8, without ports, separated by commas',
      }),
    ),
  );
