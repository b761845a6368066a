import { openSite, request } from './site.ts';

// A whole service in a process of its own, to be killed: opens a site, submits one job, tells its id and then its stages.
const [settings, metadata] = process.argv.slice(2).map((text) => JSON.parse(text));
const site = await openSite(settings);
const { job } = await site.jobs.submit(request(metadata));
process.stdout.write(`${job.id}\n`);
for await (const { events } of site.jobs.follow(job.id, 0, new AbortController().signal))
  for (const { event, data } of events)
    process.stdout.write(`${event === 'progress' ? data.stage : event}\n`);
