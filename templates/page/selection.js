/* The selection (scope, window, evidence, sort order, filter, theme) is kept in the URL's hash, so it can be shared. */

const EMPTY_HASH = "-"; // names no element of the page, so the browser does not scroll

function selection() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  parameters.delete(EMPTY_HASH);
  return parameters;
}

/** The hash after `changes`; an empty value removes its key. */
function hashWith(changes) {
  const next = selection();
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  return `#${next.toString() || EMPTY_HASH}`;
}

/** Select what `changes` names, as a new entry of the browser's history. */
function select(changes) {
  const hash = hashWith(changes);
  if (hash !== hashWith({})) location.hash = hash;
}

/** Select what `changes` names in the current entry of the browser's history. */
const selectInPlace = (changes) => location.replace(hashWith(changes));
