/* What can be chosen, and the page as it is chosen. */

const FEW_SCOPES = 12;
const THEMES = { "": "as the system", light: "light", dark: "dark" };

const spoke = (span) => (span.label === "all" ? "all time" : span.label);
const scope = () => PAGE.scopes.find((one) => one.key === chosen().get("scope")) || PAGE.scopes[0];

function windowed(one) {
  const wanted = chosen().get("window");
  return one.windows.find((span) => span.key === wanted) || one.windows[0];
}

function options(filter) {
  const wanted = filter.trim().toLowerCase(), current = scope();
  const fitting = PAGE.scopes.filter((one) => one === current || one.name.toLowerCase().includes(wanted));
  $("scope").replaceChildren(...fitting.map((one) =>
    element("option", { value: one.key, selected: one === current }, one.name)));
}

function windows(one, span) {
  const focused = document.activeElement?.name === "window";
  $("windows").replaceChildren(...one.windows.map((each, place) => element("span", null,
    element("input", {
      type: "radio", name: "window", id: `window-${place}`, value: each.key, checked: each === span,
      onchange: () => choose({ window: each.key }),
    }),
    element("label", { for: `window-${place}` }, spoke(each)))));
  if (focused) $("windows").querySelector(":checked").focus();
}

/** The colours; whether they have changed. */
function theme() {
  const wanted = chosen().get("theme") || "", known = Object.hasOwn(THEMES, wanted) ? wanted : "";
  const root = document.documentElement, changed = (root.dataset.theme || "") !== known;
  if (known) root.dataset.theme = known;
  else delete root.dataset.theme;
  $("theme").querySelector("span").textContent = THEMES[known];
  return changed;
}

function announce(one, span) {
  const said = METRICS.map((metric) => {
    const { reason, value } = span.cards[metric];
    return `${$(`${metric}-title`).textContent} ${reason ? "no data" : value}`;
  });
  $("told").textContent = `${one.name}, ${spoke(span)}: ${said.join("; ")}`;
}

let shown = "";

function render(anew) {
  const repainted = theme(), one = scope(), span = windowed(one), now = `${one.key}\n${span.key}`;
  if (anew === true || repainted || now !== shown) {
    $("scope").value = one.key;
    $("home").hidden = !one.link;
    $("home").href = address(one.link);
    windows(one, span);
    numbers(one, span);
    METRICS.forEach((metric) => draw(metric, one, span));
    if (shown && now !== shown) announce(one, span);
    shown = now;
  }
  showEvidence(one, span);
}

function start() {
  document.body.append(element("div", { class: "hidden", "aria-hidden": "true" }, probe));
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  $("main").hidden = false;
  $("scope-choice").hidden = PAGE.scopes.length < 2;
  $("filter").hidden = PAGE.scopes.length <= FEW_SCOPES;
  options("");
  $("filter").addEventListener("input", (event) => options(event.target.value));
  $("choice").addEventListener("submit", (event) => event.preventDefault());
  $("scope").addEventListener("change", (event) => choose({ scope: event.target.value, show: "" }));
  const dialog = $("evidence");
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (chosen().get("show") === open) choose({ show: "" });
    back?.focus();
  });
  addEventListener("hashchange", render);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render(true));
  render(true);
}

$("theme").hidden = false;
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES), now = names.indexOf(chosen().get("theme") || "");
  choose({ theme: names[(now + 1) % names.length] });
});
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("now").focus();
  $("now").scrollIntoView();
});
if (PAGE.scopes.length) start();
else {
  theme();
  addEventListener("hashchange", theme);
}
