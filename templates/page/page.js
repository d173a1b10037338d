/* The controls (scope, window, theme), and rendering of what they select. */

const THEMES = { "": "system", light: "light", dark: "dark" };

const windowText = (scopeWindow) => (scopeWindow.label === "all" ? "all time" : scopeWindow.label);

/** The selected scope; null if the overview is. */
const selectedScope = () =>
  PAGE.scopes.find(({ key }) => key === selection().get("scope")) || (hasOverview ? null : PAGE.scopes[0]);

function selectedWindow(scope) {
  const selectedKey = selection().get("window");
  return scope.windows.find(({ key }) => key === selectedKey) || scope.windows[0];
}

function fillWindowOptions(scope, selected) {
  $("windows").replaceChildren(...scope.windows.map((scopeWindow, index) => element("span", null,
    element("input", {
      type: "radio", name: "window", id: `window-${index}`, value: scopeWindow.key, checked: scopeWindow === selected,
      "data-focus": `window:${scopeWindow.key}`,
      onchange: () => select({ window: scopeWindow.key }),
    }),
    element("label", { for: `window-${index}` }, windowText(scopeWindow)))));
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

let renderedKey = ""; // scope and window whose numbers are drawn
let shownScope; // the scope on the screen; null for the overview, undefined before anything is shown
let overviewPosition = 0, overviewLink = null; // where the reader was in the overview

/** Draw the numbers and charts of a scope, if it, its window or the theme changed, or if forced. */
function renderScope(scope, isForced) {
  const scopeWindow = selectedWindow(scope), key = `${scope.key}\n${scopeWindow.key}`;
  if (!isForced && key === renderedKey) return;
  keepFocus(() => {
    $("scope").value = scope.key;
    $("home").hidden = !scope.link;
    $("home").href = urlOf(scope.link);
    fillWindowOptions(scope, scopeWindow);
    showNumbers(scope, scopeWindow);
    METRICS.forEach((metric) => showMetric(metric, scope, scopeWindow));
  });
  if (renderedKey && key !== renderedKey) announce(scope, scopeWindow);
  renderedKey = key;
}

/** Keep where the reader is in the overview, before a scope takes its place. */
function leaveOverview() {
  overviewPosition = scrollY;
  overviewLink = document.activeElement?.closest("#rows a");
}

/** Move the focus and the scroll position to where a reader who comes from the other part expects them. */
function enterPart(scope, previous) {
  if (scope && previous === null) {
    scrollTo(0, 0);
    if (!focusByKey(`number:${selection().get("show")}`)) $("scope-title").focus({ preventScroll: true });
  } else if (!scope && previous) {
    scrollTo(0, overviewPosition);
    if (overviewLink?.isConnected) overviewLink.focus({ preventScroll: true });
    else if (!focusByKey(`row:${previous.key}:`)) $("overview-title").focus({ preventScroll: true });
    document.activeElement.scrollIntoView({ block: "nearest" });
  }
}

/** Render the selection. */
function render({ isForced = false } = {}) {
  const hasNewTheme = applyTheme(), scope = selectedScope(), previous = shownScope;
  if (scope && previous === null) leaveOverview();
  $("overview").hidden = Boolean(scope);
  $("scope-view").hidden = !scope;
  document.title = [`Delivery · ${PAGE.title}`, scope && hasOverview ? scope.name : ""].filter(Boolean).join(" · ");
  if (scope) {
    $("scope-title").textContent = scope.name;
    renderScope(scope, isForced || hasNewTheme);
  } else showOverview(previous === undefined);
  shownScope = scope;
  enterPart(scope, previous);
  showEvidence(scope, scope && selectedWindow(scope));
}

/** Prepare what only a page with several scopes has. */
function startScopeChoice() {
  startOverview();
  $("scope").replaceChildren(...PAGE.scopes.map(({ key, name }) => element("option", { value: key }, name)));
  $("scope").addEventListener("change", (event) => select({ scope: event.target.value, show: "" }));
  $("all-scopes").textContent = `← All ${plural(PAGE.scopes.length, "scope")}`;
  $("all-scopes").addEventListener("click", (event) => {
    event.preventDefault();
    select({ scope: "", show: "" });
  });
}

function start() {
  document.body.append(element("div", { class: "hidden", "aria-hidden": "true" }, colorProbe));
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  $("main").hidden = false;
  for (const id of ["scope-title", "scope-choice"]) $(id).hidden = !hasOverview;
  if (hasOverview) startScopeChoice();
  $("choice").addEventListener("submit", (event) => event.preventDefault());
  const dialog = $("evidence");
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (selection().get("show") === openKey) select({ show: "" });
    returnFocus();
  });
  addEventListener("hashchange", () => render());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render({ isForced: true }));
  render({ isForced: true });
}

for (const note of document.querySelectorAll(".note")) note.replaceChildren(...withCode(note.textContent));
$("theme").hidden = false;
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES), index = names.indexOf(selection().get("theme") || "");
  select({ theme: names[(index + 1) % names.length] });
});
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  const target = $("overview")?.hidden === false ? $("overview-title") : $("now");
  target.focus();
  target.scrollIntoView();
});
if (PAGE.scopes.length) start();
else {
  applyTheme();
  addEventListener("hashchange", applyTheme);
}
