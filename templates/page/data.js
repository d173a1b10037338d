/* The page's data, as core/site/model.py defines it. The page computes nothing from it but positions on the screen. */

const DAY = 86400, WEEK = 7 * DAY;
const $ = (id) => document.getElementById(id);
const PAGE = JSON.parse(document.getElementById("data").textContent);
const METRICS = ["deployment_frequency", "lead_time", "change_failure_rate", "recovery_time", "rework_rate"];

// Structs that every scope has are encoded as lists, in the order of these fields. Defaults are left out.
const WINDOW_FIELDS = ["window", "deployments", "incidents", "overall", "cards", "outlook", "security"];
const CARD_FIELDS = ["value", "level", "rank", "interval", "n", "before", "verdict", "reason", "details", "is_level_open"];
const WEEK_FIELDS = [
  "monday", "since", "hours", "partial", "at", "incidents_at", "deployments", "counted", "failed", "deployments_failed",
  ...METRICS.slice(1),
];
const withNames = (names, values) => Object.fromEntries(values.map((value, index) => [names[index], value]));

for (const scope of PAGE.scopes) {
  Object.assign(scope, { first: 0, deployments: [], incidents_first: 0, incidents: [], ...scope });
  scope.weeks &&= withNames(WEEK_FIELDS, scope.weeks);
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
