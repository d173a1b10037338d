/* Elements: texts stay texts, whatever is in them. */

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const address = (link) => (link ? PAGE.bases[link[0]] + link[1] : "");

function linked(text, link) {
  const href = address(link);
  if (!/^https?:\/\//i.test(href)) return element("span", { dir: "auto" }, text);
  return element("a", { href, target: "_blank", rel: "noopener noreferrer", dir: "auto" }, text);
}

const moment = (seconds) =>
  element("time", { datetime: new Date(seconds * 1000).toISOString() }, minute(seconds));
