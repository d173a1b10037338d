/* Weeks on the horizontal axis: a week has width 1, and the first one begins at 0. */

const MIN_CHART_DAYS = 90;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

const mondayOf = (weeks, number) => new Date(Date.parse(`${weeks.monday}T00:00:00Z`) + number * WEEK * 1000);
const dayAndMonth = (date) => `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;

function weekName(weeks, number) {
  const start = mondayOf(weeks, number), end = new Date(start.getTime() + 6 * DAY * 1000);
  return `${dayAndMonth(start)} – ${dayAndMonth(end)} ${end.getUTCFullYear()}`;
}

/** The week's key in the URL, `week:2026-W47`. By ISO 8601 its year is the year of its Thursday. */
function weekKey(weeks, number) {
  const thursday = new Date(mondayOf(weeks, number).getTime() + 3 * DAY * 1000), year = thursday.getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(year, 0, 1)) / (WEEK * 1000)) + 1;
  return `week:${year}-W${String(week).padStart(2, "0")}`;
}

function isPartial(weeks, number) {
  const last = weeks.deployments.length - 1;
  return (number === 0 && weeks.partial[0]) || (number === last && weeks.partial[1]);
}

/** The position of a time on the axis. Weeks differ in length where clocks change. */
function timePosition(weeks, seconds) {
  let start = weeks.since, number = 0;
  if (seconds < start) return (seconds - start) / WEEK;
  for (; number < weeks.hours.length && seconds >= start + weeks.hours[number] * 3600; number += 1) {
    start += weeks.hours[number] * 3600;
  }
  return number + (seconds - start) / ((weeks.hours[number] ?? WEEK / 3600) * 3600);
}

/**
 * The weeks to draw for a window: `start` to `end` (excluded), at least 90 days, empty if the page has none of them.
 * `since` and `until` are the positions of the window's edges.
 */
function weekRange(weeks, scopeWindow) {
  const since = timePosition(weeks, scopeWindow.since), until = timePosition(weeks, scopeWindow.until);
  const end = Math.max(0, Math.min(weeks.deployments.length, Math.ceil(until)));
  const start = Math.max(0, Math.floor(Math.min(since, until - MIN_CHART_DAYS / 7)));
  return { start: Math.min(start, Math.max(0, end - 1)), end, since, until };
}

const weekNumbers = (range) => Array.from({ length: range.end - range.start }, (_, index) => range.start + index);

/** The position of a deployment: always inside the week that counts it. */
function deploymentPosition(weeks, number, seconds) {
  let low = 0, high = weeks.at.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (weeks.at[middle] <= number) low = middle;
    else high = middle - 1;
  }
  const fraction = timePosition(weeks, seconds) - low;
  return low + Math.min(0.99, Math.max(0.01, fraction));
}
