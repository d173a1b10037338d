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
