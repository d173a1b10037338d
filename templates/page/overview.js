/* The overview of all scopes: a row each, with the five numbers of the configured window. */

const hasOverview = PAGE.scopes.length > 1;
const SHORT_TITLES = ["Deployments", "Lead time", "Failure rate", "Recovery time", "Rework rate"];
const METRICS_WITH_COUNTS = ["change_failure_rate", "rework_rate"];
const SPARK = { width: 56, height: 18, weeks: 13 };

/** The teams of the scopes by name; empty if no scope has one, and then nothing on the page is about teams. */
const TEAMS = [...new Set(PAGE.scopes.map(({ team }) => team))].filter(Boolean).sort((a, b) => a.localeCompare(b, "en"));
const NO_TEAM = " "; // in the address; no team has a space at an end
const TEAM_CHOICES = new Map([["", "All"], ...TEAMS.map((team) => [team, team])]);
if (PAGE.scopes.some(({ team }) => !team)) TEAM_CHOICES.set(NO_TEAM, "No team");

/** The weekly series that a sparkline draws. */
const SPARK_FIELDS = {
  deployment_frequency: "deployments",
  lead_time: "lead_time",
  change_failure_rate: "rolling_change_failure_rate",
  recovery_time: "recovery_time",
  rework_rate: "rolling_rework_rate",
};

/** By key: the title of a sort order, the value it compares (null is always last), and whether it starts low. */
const SORT_ORDERS = {
  attention: ["Needs attention", ({ row }) => row.attention.length - (row.values[0] ? 0 : 0.5)],
  name: ["Name", ({ name }) => name.toLowerCase(), true],
  ...(TEAMS.length && { team: ["Team", ({ team }) => team.toLowerCase() || null, true] }),
  ...Object.fromEntries(METRICS.map((metric, index) =>
    [metric, [SHORT_TITLES[index], ({ row }) => row.values[index]]])),
  latest: ["Last deployment", ({ row }) => row.latest],
};
const DEFAULT_ORDER = "attention";

/** The selected order, `-` before its key if it is reversed. */
function selectedOrder() {
  const text = selection().get("sort") || DEFAULT_ORDER, key = text.replace(/^-/, "");
  if (!Object.hasOwn(SORT_ORDERS, key)) return { key: DEFAULT_ORDER, isReversed: false };
  return { key, isReversed: text !== key };
}

const selectOrder = (key, isReversed) => select({ sort: `${isReversed ? "-" : ""}${key}` });

function sortedScopes({ key, isReversed }) {
  const [, valueOf, startsLow = false] = SORT_ORDERS[key], sign = startsLow === isReversed ? -1 : 1;
  return [...PAGE.scopes].sort((a, b) => {
    const [left, right] = [valueOf(a), valueOf(b)];
    if (left === null || right === null) return (left === null) - (right === null);
    return left === right ? 0 : sign * (left < right ? -1 : 1);
  });
}

const svgElement = (name, attributes) => {
  const created = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
};

/** The last 13 weeks as bars from zero, one path for the complete weeks and one for the last one if it is partial. */
function sparkline(metric, weeks) {
  const values = weeks ? weeks[SPARK_FIELDS[metric]].slice(-SPARK.weeks) : [], highest = Math.max(...values, 0);
  if (!highest) return null;
  const step = SPARK.width / SPARK.weeks, offset = SPARK.width - values.length * step;
  const bars = values.map((value, index) => {
    if (!value) return "";
    const left = (offset + index * step).toFixed(1);
    const height = Math.max(1.5, (value / highest) * SPARK.height).toFixed(1);
    return `M${left} ${SPARK.height}v-${height}h3v${height}z`;
  });
  const last = weeks.partial[1] ? bars.pop() : "";
  const viewBox = `0 0 ${SPARK.width} ${SPARK.height}`, svg = svgElement("svg", { class: "spark", viewBox });
  svg.setAttribute("aria-hidden", "true");
  svg.append(svgElement("path", { d: bars.join("") }), svgElement("path", { d: last, class: "partial" }));
  return svg;
}

/** A link to a scope, or to the evidence of one of its metrics. */
function scopeLink(scope, show, text, attributes) {
  const target = { scope: scope.key, show };
  return element("a", {
    href: `#${new URLSearchParams({ scope: scope.key, ...(show && { show }) })}`,
    "data-focus": `row:${scope.key}:${show}`,
    onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      select(target);
    },
    ...attributes,
  }, text);
}

function nameCell(scope) {
  const { attention } = scope.row;
  return element("th", { scope: "row", role: "rowheader" },
    scopeLink(scope, "", scope.name, { dir: "auto" }),
    attention.length ? element("p", { class: "attention" }, attention.join(" · ")) : null);
}

const teamCell = ({ team }) =>
  element("td", { role: "cell", class: "team", "data-title": "Team" }, element("span", { dir: "auto" }, team || "–"));

function metricCell(scope, metric, index) {
  const card = scope.windows[0].cards[metric], hasValue = !card.reason, [levelName] = card.level.split(/\s*[,(]/);
  const level = levelName ? element("span", { class: `level ${rankClass(card)}` }, levelName) : null;
  const value = keepUnitsTogether(card.value);
  const counts = hasValue && METRICS_WITH_COUNTS.includes(metric) ? card.n : "";
  const title = card.reason || card.level || undefined;
  return element("td", { role: "cell", "data-title": SHORT_TITLES[index], title },
    element("div", { class: "number" },
      hasValue ? scopeLink(scope, metric, value, { tabindex: "-1" }) : element("span", null, "–"),
      sparkline(metric, scope.weeks)),
    element("div", { class: "quietly" }, level, level && counts ? " · " : "", counts));
}

function latestCell({ row: { latest } }) {
  const time = latest === null ? "–" : timeElement(latest);
  return element("td", { role: "cell", "data-title": "Last deployment" }, time);
}

const scopeRow = (scope) => element("tr", { role: "row" }, nameCell(scope), TEAMS.length ? teamCell(scope) : null,
  ...METRICS.map((metric, index) => metricCell(scope, metric, index)), latestCell(scope));

const rows = new Map(); // by key of the scope; each is built when it is shown first

function rowOf(scope) {
  if (!rows.has(scope.key)) rows.set(scope.key, scopeRow(scope));
  return rows.get(scope.key);
}

/** A column's title as a button that sorts by it, or reverses the order. */
function columnTitle(key) {
  const { key: current, isReversed } = selectedOrder(), [title, , startsLow = false] = SORT_ORDERS[key];
  const isCurrent = key === current, isAscending = startsLow !== isReversed, arrow = isAscending ? " ↑" : " ↓";
  return element("th", {
    scope: "col", role: "columnheader", "aria-sort": isCurrent && (isAscending ? "ascending" : "descending"),
  }, element("button", {
    type: "button", class: "plain", "data-focus": `sort:${key}`,
    onclick: () => selectOrder(key, isCurrent && !isReversed),
  }, key === "name" ? "Scope" : title, isCurrent ? element("span", { "aria-hidden": "true" }, arrow) : ""));
}

const COLUMNS_OF_SCOPES = ["name", ...(TEAMS.length ? ["team"] : []), ...METRICS, "latest"];

/** The selected team, `NO_TEAM` for the scopes without one; empty for all scopes. */
function selectedTeam() {
  const team = selection().get("team") || "";
  return TEAMS.length && TEAM_CHOICES.has(team) ? team : "";
}

const isOfTeam = (scope, team) => !team || scope.team === team.trim();

const ROWS_AT_START = 40; // more than a screen; the others follow as soon as these are drawn
let nextRows = 0, drawnOverview = "";

/** Append the rows of scopes: `count` of them now, the others in the next steps. */
function appendRows(scopes, count) {
  $("rows").append(...scopes.slice(0, count).map(rowOf));
  if (scopes.length > count) nextRows = setTimeout(() => appendRows(scopes.slice(count), count));
}

/** Draw the rows that match the filter, in the selected order. At the start not all rows are drawn at once. */
function showOverview(isStart) {
  const order = selectedOrder(), filter = selection().get("filter") || "", text = filter.trim().toLowerCase();
  const team = selectedTeam(), key = JSON.stringify([order, text, team]);
  if (document.activeElement !== $("filter")) $("filter").value = filter;
  if (key === drawnOverview) return;
  drawnOverview = key;
  const matching = sortedScopes(order).filter(
    (scope) => scope.name.toLowerCase().includes(text) && isOfTeam(scope, team));
  clearTimeout(nextRows);
  keepFocus(() => {
    $("columns").replaceChildren(...COLUMNS_OF_SCOPES.map(columnTitle));
    $("rows").replaceChildren();
    appendRows(matching, isStart ? ROWS_AT_START : Infinity);
  });
  $("sort").value = order.key;
  $("team").value = team;
  const total = plural(PAGE.scopes.length, "scope");
  $("shown").textContent = text || team ? `${matching.length.toLocaleString("en-US")} of ${total}` : "";
}

/** By key: how many rows down and how many columns to the right it moves. */
const ARROWS = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

/** Arrow keys move between the links of the table: up and down by rows, left and right by columns. */
function moveByArrow(event) {
  const [down, right] = ARROWS[event.key] || [];
  const cell = event.target.closest("th, td");
  if (down === undefined || !cell) return;
  event.preventDefault();
  let row = cell.parentElement, column = cell.cellIndex, link = null;
  do {
    column += right;
    row = down > 0 ? row.nextElementSibling : down < 0 ? row.previousElementSibling : row;
    link = row?.cells[column]?.querySelector("a");
  } while (!link && row?.cells[column]);
  link?.focus();
}

/** Offer the teams to filter by. */
function startTeamChoice() {
  const options = [...TEAM_CHOICES].map(([value, text]) => element("option", { value, dir: "auto" }, text));
  $("team").replaceChildren(...options);
  $("team").addEventListener("change", (event) => select({ team: event.target.value }));
  $("team-choice").hidden = !TEAMS.length;
}

function startOverview() {
  startTeamChoice();
  const options = Object.entries(SORT_ORDERS).map(([key, [title]]) => element("option", { value: key }, title));
  $("sort").replaceChildren(...options);
  $("sort").addEventListener("change", (event) => selectOrder(event.target.value, false));
  $("reverse").addEventListener("click", () => {
    const { key, isReversed } = selectedOrder();
    selectOrder(key, !isReversed);
  });
  $("filter").addEventListener("input", (event) => selectInPlace({ filter: event.target.value }));
  $("overview-choice").addEventListener("submit", (event) => event.preventDefault());
  $("rows").addEventListener("keydown", moveByArrow);
  $("highlights").replaceChildren(...PAGE.highlights.map((line) => element("li", { dir: "auto" }, line)));
  const { span, label } = PAGE.windows[0];
  const name = label === "all" ? "All time: " : `${label}: `;
  $("overview-span").textContent = `${label.includes("–") ? "" : name}${span} ${PAGE.zone}`;
}
