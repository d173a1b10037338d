/* What is in the page: core/site/model.py. Nothing is computed from it but places on the screen. */

const DAY = 86400, WEEK = 7 * DAY;
const $ = (id) => document.getElementById(id);
const PAGE = JSON.parse(document.getElementById("data").textContent);
const METRICS = ["deployment_frequency", "lead_time", "change_failure_rate", "recovery_time", "rework_rate"];

// What every scope has comes without names, and what has its default is left out.
const NUMBERS = ["window", "deployments", "incidents", "overall", "cards", "outlook", "beside"];
const CARD = ["value", "level", "rank", "interval", "n", "before", "verdict", "reason", "details"];
const WEEKS = [
  "monday", "since", "hours", "partial", "at", "incidents_at", "deployments", "counted", "failed", "deployments_failed",
  ...METRICS.slice(1),
];
const named = (names, list) => Object.fromEntries(list.map((value, place) => [names[place], value]));

for (const one of PAGE.scopes) {
  Object.assign(one, { first: 0, deployments: [], incidents_first: 0, incidents: [], ...one });
  one.weeks &&= named(WEEKS, one.weeks);
  one.windows = one.windows.map((list) => {
    const found = named(NUMBERS, list);
    found.cards = Object.fromEntries(found.cards.map((card, place) => [METRICS[place], named(CARD, card)]));
    return { ...PAGE.windows[found.window], ...found };
  });
  for (const deployment of one.deployments) {
    const absent = { status: "success", counted: true, changes: [], more: 0, more_excluded: 0 };
    Object.assign(deployment, { ...absent, ...deployment });
  }
}
