/**
 * Whether a tensor's name is `pattern`, in which `*` stands for any characters, dots and slashes included, and `?` for one. Takes
 * steps of the order of both lengths' product at most: patterns come from clients, and a regular expression could be made to take forever.
 */
export function matchesName(name: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let resume = 0;
  while (at < name.length) {
    if (pattern[next] === '*') {
      star = next++;
      resume = at;
    } else if (pattern[next] === '?' || pattern[next] === name[at]) {
      next++;
      at++;
    } else if (star >= 0) {
      // What the last `*` stands for becomes one character longer; earlier ones need not be tried again.
      next = star + 1;
      at = ++resume;
    } else {
      return name === pattern;
    }
  }
  while (pattern[next] === '*') next++;
  return next === pattern.length || name === pattern;
}
