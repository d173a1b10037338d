/* Helpers that create elements. Text is always added as text nodes, so data cannot become markup. */

/** Create an element. An attribute `on…` is an event listener, `false` leaves an attribute out, `true` is empty. */
function element(name, attributes, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") created.className = value;
    else if (key.startsWith("on")) created.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) created.setAttribute(key, value === true ? "" : value);
  }
  created.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return created;
}

/** The URL of a link `[number in PAGE.bases, ending]`; empty without one. */
const urlOf = (link) => (link ? PAGE.bases[link[0]] + link[1] : "");

/** The text as a link if its URL is http or https, otherwise the text alone. */
function linkOrText(text, link) {
  const href = urlOf(link);
  if (!/^https?:\/\//i.test(href)) return element("span", { dir: "auto" }, text);
  return element("a", { href, target: "_blank", rel: "noopener noreferrer", dir: "auto" }, text);
}

const timeElement = (seconds) =>
  element("time", { datetime: new Date(seconds * 1000).toISOString() }, dateTime(seconds));

/** The text as nodes: what it has between backticks becomes a code element. */
const withCode = (text) =>
  text.split(/`([^`]+)`/).map((part, index) => (index % 2 ? element("code", null, part) : part));

/**
 * Call `draw`, which may replace the focused element. If it does, its successor with the same `data-focus` gets the
 * focus.
 */
function keepFocus(draw) {
  const focused = document.activeElement, key = focused?.dataset.focus;
  draw();
  if (key && !focused.isConnected) focusByKey(key);
}

/** Focus the element with this `data-focus`, without scrolling. Returns whether there is one. */
function focusByKey(key) {
  const target = document.querySelector(`[data-focus="${CSS.escape(key)}"]`);
  target?.focus({ preventScroll: true });
  return Boolean(target);
}
