/* The controls (scope, window, theme), and rendering of what they select. */

const MAX_SCOPES_WITHOUT_FILTER = 12;
const THEMES = { "": "system", light: "light", dark: "dark" };

const windowText = (scopeWindow) => (scopeWindow.label === "all" ? "all time" : scopeWindow.label);
const selectedScope = () => PAGE.scopes.find(({ key }) => key === selection().get("scope")) || PAGE.scopes[0];

function selectedWindow(scope) {
  const selectedKey = selection().get("window");
  return scope.windows.find(({ key }) => key === selectedKey) || scope.windows[0];
}

function fillScopeOptions(filter) {
  const text = filter.trim().toLowerCase(), current = selectedScope();
  const matching = PAGE.scopes.filter((scope) => scope === current || scope.name.toLowerCase().includes(text));
  $("scope").replaceChildren(...matching.map((scope) =>
    element("option", { value: scope.key, selected: scope === current }, scope.name)));
}

function fillWindowOptions(scope, selected) {
  const hadFocus = document.activeElement?.name === "window";
  $("windows").replaceChildren(...scope.windows.map((scopeWindow, index) => element("span", null,
    element("input", {
      type: "radio", name: "window", id: `window-${index}`, value: scopeWindow.key, checked: scopeWindow === selected,
      onchange: () => select({ window: scopeWindow.key }),
    }),
    element("label", { for: `window-${index}` }, windowText(scopeWindow)))));
  if (hadFocus) $("windows").querySelector(":checked").focus();
}

/** Apply the selected theme. Returns whether it changed. */
function applyTheme() {
  const selected = selection().get("theme") || "", theme = Object.hasOwn(THEMES, selected) ? selected : "";
  const root = document.documentElement, hasChanged = (root.dataset.theme || "") !== theme;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  $("theme").querySelector("span").textContent = THEMES[theme];
  return hasChanged;
}

/** Write the values into the live region that screen readers announce. */
function announce(scope, scopeWindow) {
  const values = METRICS.map((metric) => {
    const { reason, value } = scopeWindow.cards[metric];
    return `${$(`${metric}-title`).textContent} ${reason ? "no data" : value}`;
  });
  $("announcement").textContent = `${scope.name}, ${windowText(scopeWindow)}: ${values.join("; ")}`;
}

let renderedKey = "";

/** Render the selection. Numbers and charts are drawn only if scope, window or theme changed, or if forced. */
function render({ isForced = false } = {}) {
  const hasNewTheme = applyTheme(), scope = selectedScope(), scopeWindow = selectedWindow(scope);
  const key = `${scope.key}\n${scopeWindow.key}`;
  if (isForced || hasNewTheme || key !== renderedKey) {
    $("scope").value = scope.key;
    $("home").hidden = !scope.link;
    $("home").href = urlOf(scope.link);
    fillWindowOptions(scope, scopeWindow);
    showNumbers(scope, scopeWindow);
    METRICS.forEach((metric) => showMetric(metric, scope, scopeWindow));
    if (renderedKey && key !== renderedKey) announce(scope, scopeWindow);
    renderedKey = key;
  }
  showEvidence(scope, scopeWindow);
}

function start() {
  document.body.append(element("div", { class: "hidden", "aria-hidden": "true" }, colorProbe));
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  $("main").hidden = false;
  $("scope-choice").hidden = PAGE.scopes.length < 2;
  $("filter").hidden = PAGE.scopes.length <= MAX_SCOPES_WITHOUT_FILTER;
  fillScopeOptions("");
  $("filter").addEventListener("input", (event) => fillScopeOptions(event.target.value));
  $("choice").addEventListener("submit", (event) => event.preventDefault());
  $("scope").addEventListener("change", (event) => select({ scope: event.target.value, show: "" }));
  const dialog = $("evidence");
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (selection().get("show") === openKey) select({ show: "" });
    focusedBefore?.focus();
  });
  addEventListener("hashchange", () => render());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render({ isForced: true }));
  render({ isForced: true });
}

$("theme").hidden = false;
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES), index = names.indexOf(selection().get("theme") || "");
  select({ theme: names[(index + 1) % names.length] });
});
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("now").focus();
  $("now").scrollIntoView();
});
if (PAGE.scopes.length) start();
else {
  applyTheme();
  addEventListener("hashchange", applyTheme);
}
