/* Words: those of core/words.py, for what hovers and folds. */

const even = (number) => {
  const below = Math.floor(number), rest = number - below;
  return rest === 0.5 ? below + (below % 2) : Math.round(number);
};

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = even(seconds), place = UNITS.findIndex(([, size]) => whole >= size);
  if (place < 0) return "0 s";
  const [unit, size] = UNITS[place];
  if (unit === "min" || unit === "s" || (unit === "d" && whole >= 100 * size)) {
    return even(whole / size) === 60 ? "1 h" : `${even(whole / size)} ${unit}`;
  }
  const [smaller, step] = UNITS[place + 1], all = even(whole / step), count = Math.floor(all / (size / step));
  const rest = all % (size / step);
  if (unit === "h" && count === 24) return "1 d";
  return rest ? `${count} ${unit} ${rest} ${smaller}` : `${count} ${unit}`;
}

function percent(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  const share = ratio * 100;
  return `${Number((share % 1 === 0.25 ? share - 0.05 : share).toFixed(1))} %`; // of two as near, the even one
}

/** Numbers and their units stay on one line. */
const tied = (text) => text.replace(/(\d) (?=(?:d|h|min|s|%)(?:\s|$))/g, "$1\u00a0");

const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;

/** `2026-11-21 09:05`; in UTC where a browser does not know the time zone. */
function clock(timeZone) {
  const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" };
  try {
    return new Intl.DateTimeFormat("sv-SE", { timeZone, ...parts });
  } catch {
    return clock("UTC");
  }
}

const local = clock(PAGE.zone);
const minute = (seconds) => local.format(new Date(seconds * 1000));
window.dora = { duration, percent, minute };
