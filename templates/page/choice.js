/* What is chosen stands in the address, so that it can be shared. */

const NOTHING = "-"; // an address without a choice that names no part of the page, so that nothing scrolls

function chosen() {
  const found = new URLSearchParams(location.hash.slice(1));
  found.delete(NOTHING);
  return found;
}

function choose(changes) {
  const next = chosen();
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  if (next.toString() !== chosen().toString()) location.hash = next.toString() || NOTHING;
}
