/* Numbers and times as text, by the rules of core/formatting.py. */

/** Round half to even, as Python does. */
const roundHalfEven = (number) => {
  const lower = Math.floor(number), fraction = number - lower;
  return fraction === 0.5 ? lower + (lower % 2) : Math.round(number);
};

const UNIT_SECONDS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** `1 d 4 h`, `41 min`, `52 s`. */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = roundHalfEven(seconds), index = UNIT_SECONDS.findIndex(([, unitSeconds]) => whole >= unitSeconds);
  if (index < 0) return "0 s";
  const [unit, unitSeconds] = UNIT_SECONDS[index];
  if (unit === "min" || unit === "s" || (unit === "d" && whole >= 100 * unitSeconds)) {
    return roundHalfEven(whole / unitSeconds) === 60 ? "1 h" : `${roundHalfEven(whole / unitSeconds)} ${unit}`;
  }
  const [smallerUnit, smallerSeconds] = UNIT_SECONDS[index + 1], perUnit = unitSeconds / smallerSeconds;
  const total = roundHalfEven(whole / smallerSeconds), count = Math.floor(total / perUnit), remainder = total % perUnit;
  if (unit === "h" && count === 24) return "1 d";
  return remainder ? `${count} ${unit} ${remainder} ${smallerUnit}` : `${count} ${unit}`;
}

/** `16.7 %`, without the decimal where it is zero. */
function percent(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  const value = ratio * 100;
  const rounded = Number((value % 1 === 0.25 ? value - 0.05 : value).toFixed(1)); // ties round to even, as in Python
  return `${rounded || Number(value.toPrecision(1))} %`;
}

/** A failure rate; in a git history, which shows only some of the failures, it is at least that. */
const ratePercent = (ratio, isAtLeast) => `${isAtLeast && ratio !== null ? "at least " : ""}${percent(ratio)}`;

/** Put a no-break space between each number and its unit. */
const keepUnitsTogether = (text) => text.replace(/(\d) (?=(?:d|h|min|s|%)(?:\s|$))/g, "$1\u00a0");

const plural = (count, singular, many = `${singular}s`) =>
  `${count.toLocaleString("en-US")} ${count === 1 ? singular : many}`;

/** Formats `2026-11-21 09:05`; in UTC if the browser does not know the time zone. */
function dateTimeFormat(timeZone) {
  const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" };
  try {
    return new Intl.DateTimeFormat("sv-SE", { timeZone, ...parts });
  } catch {
    return dateTimeFormat("UTC");
  }
}

const zoneFormat = dateTimeFormat(PAGE.zone);
const dateTime = (seconds) => zoneFormat.format(new Date(seconds * 1000));
window.dora = { duration, percent, minute: dateTime };
