/* The selection (scope, window, evidence, theme) is kept in the URL's hash, so that it can be shared. */

const EMPTY_HASH = "-"; // names no element of the page, so the browser does not scroll

function selection() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  parameters.delete(EMPTY_HASH);
  return parameters;
}

/** Set the keys of `changes`; an empty value removes its key. */
function select(changes) {
  const next = selection();
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  if (next.toString() !== selection().toString()) location.hash = next.toString() || EMPTY_HASH;
}
