import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';

/** Opens the event stream of a job. @param localAddress who asks: of 127.0.0.0/8 the machine has every address */
export async function followJob(url: string, id: string, localAddress = '127.0.0.1') {
  const asked = request(`${url}/v1/jobs/${id}/events`, { localAddress, agent: false });
  asked.on('error', () => {});
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return { answer, status: answer.statusCode, leave: () => asked.destroy() };
}
