/* The page's data, as core/reports/site/model.py defines it. The page only selects, draws, and divides counts. */

const DAY = 86400, WEEK = 7 * DAY;
const $ = (id) => document.getElementById(id);
const PAGE = JSON.parse(document.getElementById("data").textContent);
/** Where to look for what is not on the page; empty if the page is not in a ledger. */
const seeLedger = (path) => (PAGE.in_ledger ? `; see ${path} in the ledger` : "");

const METRICS = ["deployment_frequency", "lead_time", "change_failure_rate", "recovery_time", "rework_rate"];

// Structs that every scope has are encoded as lists, in the order of these fields.
const WINDOW_FIELDS = ["window", "deployments", "incidents", "overall", "cards", "outlook", "security", "trends"];
const CARD_FIELDS = ["value", "level", "rank", "interval", "n", "before", "verdict", "reason", "details"];
const ROW_FIELDS = ["values", "latest", "attention", "improved"];
const WEEK_FIELDS = [
  "monday", "since", "hours", "partial", "at", "incidents_at", "deployments", "counted", "failed", "deployments_failed",
  "lead_time", "recovery_time", "reached", "rework", "stages", "at_least",
];
const COMPACT_FIELDS = ["hours", "incidents_at", "failed", "deployments_failed", "recovery_time", "rework"];
const withNames = (names, values) => Object.fromEntries(values.map((value, index) => [names[index], value]));

const ROLLING_WEEKS = 4;

/** The sums of each value and of those in the three weeks before it. */
const rollingSums = (values) =>
  values.map((_, index) => values.slice(Math.max(0, index - ROLLING_WEEKS + 1), index + 1).reduce((a, b) => a + b, 0));

/** Ratios of counts; null where there is nothing to divide by. */
const ratios = (counts, totals) => counts.map((count, index) => (totals[index] ? count / totals[index] : null));

/** Rates; null instead of zero where a git history shows only some of what they count. */
const knownRates = (counts, totals, isAtLeast) =>
  ratios(counts, totals).map((ratio) => (isAtLeast && ratio === 0 ? null : ratio));

/** Whether the rates of a metric may be higher. */
const mayBeHigher = (weeks, metric) => weeks.at_least.includes(metric);

/** For each rate: the fields of its numerator and its denominator. */
const RATE_FIELDS = { change_failure_rate: ["failed", "counted"], rework_rate: ["rework", "reached"] };

/** The weeks of a scope, with the rates of each week and of four weeks. */
function namedWeeks(values) {
  const weeks = withNames(WEEK_FIELDS, values), rolling = {}, { length } = weeks.deployments;
  for (const field of COMPACT_FIELDS) {
    if (!Array.isArray(weeks[field])) weeks[field] = Array(length + (field === "incidents_at")).fill(weeks[field]);
  }
  for (const [metric, [part, total]] of Object.entries(RATE_FIELDS)) {
    rolling[part] = rollingSums(weeks[part]);
    rolling[total] = rollingSums(weeks[total]);
    weeks[metric] = knownRates(weeks[part], weeks[total], mayBeHigher(weeks, metric));
    weeks[`rolling_${metric}`] = knownRates(rolling[part], rolling[total], mayBeHigher(weeks, metric));
  }
  return { ...weeks, rolling };
}

for (const scope of PAGE.scopes) {
  Object.assign(scope, { team: "", first: 0, deployments: [], incidents_first: 0, incidents: [], ...scope });
  scope.row = withNames(ROW_FIELDS, scope.row);
  scope.weeks &&= namedWeeks(scope.weeks);
  scope.windows = scope.windows.map((values) => {
    const fields = withNames(WINDOW_FIELDS, values);
    const cards = fields.cards.map((card, index) => [METRICS[index], withNames(CARD_FIELDS, card)]);
    fields.cards = Object.fromEntries(cards);
    return { ...PAGE.windows[fields.window], ...fields };
  });
  for (const deployment of scope.deployments) {
    const defaults = { status: "success", counted: true, changes: [], more: 0, more_excluded: 0 };
    Object.assign(deployment, { ...defaults, ...deployment });
  }
}
