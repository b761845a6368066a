/** One job alone leaves a core idle half of the time. */
const AT_ONCE = 2;

/** Works on two items at a time, the first ones first; for jobs whose latency is not asked for. */
export async function mapTwoAtATime<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
