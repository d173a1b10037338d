/* Weeks on the screen: a week is 1 wide, the first begins at 0. */

const CHARTED_DAYS = 90;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

const monday = (weeks, number) => new Date(Date.parse(`${weeks.monday}T00:00:00Z`) + number * WEEK * 1000);
const dayOf = (date) => `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;

function weekName(weeks, number) {
  const start = monday(weeks, number), end = new Date(start.getTime() + 6 * DAY * 1000);
  return `${dayOf(start)} – ${dayOf(end)} ${end.getUTCFullYear()}`;
}

/** What an address calls a week, by ISO 8601: its year is that of its Thursday. */
function weekKey(weeks, number) {
  const thursday = new Date(monday(weeks, number).getTime() + 3 * DAY * 1000), year = thursday.getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(year, 0, 1)) / (WEEK * 1000)) + 1;
  return `week:${year}-W${String(week).padStart(2, "0")}`;
}

function isPartial(weeks, number) {
  const last = weeks.deployments.length - 1;
  return (number === 0 && weeks.partial[0]) || (number === last && weeks.partial[1]);
}

/** Where a moment stands among the weeks, which are not all as long where clocks change. */
function placeAt(weeks, seconds) {
  let start = weeks.since, number = 0;
  if (seconds < start) return (seconds - start) / WEEK;
  for (; number < weeks.hours.length && seconds >= start + weeks.hours[number] * 3600; number += 1) {
    start += weeks.hours[number] * 3600;
  }
  return number + (seconds - start) / ((weeks.hours[number] ?? WEEK / 3600) * 3600);
}

/** The weeks that a window is drawn with: its own, and as many before as make it 90 days; none where none is here. */
function drawn(weeks, span) {
  const at = (seconds) => placeAt(weeks, seconds);
  const end = Math.max(0, Math.min(weeks.deployments.length, Math.ceil(at(span.until))));
  const start = Math.max(0, Math.floor(Math.min(at(span.since), at(span.until) - CHARTED_DAYS / 7)));
  return { start: Math.min(start, Math.max(0, end - 1)), end, since: at(span.since), until: at(span.until) };
}

const numbersOf = (range) => Array.from({ length: range.end - range.start }, (_, place) => range.start + place);

/** Where a deployment stands: within its week, by its time. */
function placeOf(weeks, number, seconds) {
  let low = 0, high = weeks.at.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (weeks.at[middle] <= number) low = middle;
    else high = middle - 1;
  }
  const within = placeAt(weeks, seconds) - low;
  return low + Math.min(0.99, Math.max(0.01, within));
}
