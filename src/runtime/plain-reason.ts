/** Where in onnxruntime's own source a message comes from. */
const SOURCE_PLACE = /(?:\/onnxruntime_src\/)?[\w./-]+\.(?:cc|cpp|cu|h|hpp|inc):\d+ /;
/** What GCC calls a function, up to its parameters: `void onnxruntime::X::Y`. */
const FUNCTION = /^[\w:~<>,&*.\s]*\w::[\w~<>,&*:\s]*$/;
const FUNCTION_ALONE = /^[A-Z]\w+ (?=\S)/;
const AFTER_PARAMETERS = /^(?:::<lambda\([^)]*\)>)?(?: const)?(?: \[with [^\]]*\])? /;
/** The condition of a check that failed, which its message says in words. */
const CONDITION = /^[^.]{1,300}? was false\. (?=\S)/;
const NODE = /Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: /g;

/** What onnxruntime says, on one line, without the places and signatures of its C++. */
export function plainReason(text: string): string {
  let plain = text.replace(/\s+/g, ' ').trim().replace(NODE, "node '$2' ($1): ");
  for (let found = SOURCE_PLACE.exec(plain); found !== null; found = SOURCE_PLACE.exec(plain)) {
    const rest = plain.slice(found.index + found[0].length);
    plain = plain.slice(0, found.index) + withoutFunction(rest).replace(CONDITION, '');
  }
  return plain;
}

/** The text behind the function that it begins with. */
function withoutFunction(text: string): string {
  const open = outerParenthesis(text);
  if (open < 0 || !FUNCTION.test(text.slice(0, open))) return text.replace(FUNCTION_ALONE, '');
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    depth += Number(text[at] === '(') - Number(text[at] === ')');
    if (depth === 0)
      return text
        .slice(at + 1)
        .replace(AFTER_PARAMETERS, '')
        .trimStart();
  }
  return text;
}

/** The first one outside the parameters of a template; -1 without one. */
function outerParenthesis(text: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(' && depth === 0) return at;
    depth += Number(text[at] === '<') - Number(text[at] === '>');
  }
  return -1;
}
