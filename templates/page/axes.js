/* Axes, colours, shading and legends of the charts. */

const DURATION_STEPS = [1, 10, 60, 600, 3600, 6 * 3600, DAY, 3 * DAY, WEEK, 30 * DAY, 90 * DAY, 365 * DAY, 3650 * DAY];
const AXIS_WIDTH = 58; // pixels; the same in all charts, so that they are aligned

const colorProbe = document.createElement("span");

/** A colour of the style sheet in the form that a canvas accepts. */
function color(name) {
  colorProbe.style.color = `var(--${name})`;
  return getComputedStyle(colorProbe).color;
}

/** A hatched fill, so that bars differ by more than their colour. */
function hatchPattern(base) {
  const tile = document.createElement("canvas"), context = tile.getContext("2d");
  tile.width = tile.height = 8;
  context.fillStyle = base;
  context.fillRect(0, 0, 8, 8);
  context.strokeStyle = color("page");
  context.lineWidth = 2;
  context.beginPath();
  for (const shift of [-8, 0, 8]) {
    context.moveTo(shift - 1, 9);
    context.lineTo(shift + 9, -1);
  }
  context.stroke();
  return context.createPattern(tile, "repeat");
}

const axisOptions = (options) => ({
  grid: { color: color("grid"), drawTicks: false },
  border: { display: false },
  afterFit: (scale) => { if (scale.axis === "y") scale.width = AXIS_WIDTH; },
  ...options,
  ticks: { color: color("muted"), padding: 6, font: { size: 12 }, ...options.ticks },
});

const countAxis = () => ({
  type: "linear", min: 0, suggestedMax: 4, stacked: true,
  ticks: { precision: 0, maxTicksLimit: 6 },
});

const ratioAxis = (values) => ({
  type: "linear", min: 0, max: Math.min(1, Math.max(0.2, Math.ceil(Math.max(...values) * 10) / 10)),
  ticks: { callback: percent, maxTicksLimit: 6 },
});

/** A logarithmic axis from the duration step below the values to the step above them. */
function durationAxis(values) {
  const lowest = Math.max(1, Math.min(...values)), highest = Math.max(1, ...values);
  return {
    type: "logarithmic",
    min: DURATION_STEPS.findLast((step) => step < lowest) || 0.9,
    max: DURATION_STEPS.find((step) => step > highest) || highest * 2,
    afterBuildTicks: (scale) => {
      const steps = DURATION_STEPS.filter((value) => value >= scale.min && value <= scale.max);
      scale.ticks = steps.map((value) => ({ value }));
    },
    ticks: { callback: duration, maxTicksLimit: 7 },
  };
}

function weekAxis(weeks, range) {
  const weekCount = range.end - range.start;
  return {
    type: "linear", min: range.start, max: range.end, offset: false, stacked: true,
    grid: { display: false },
    afterBuildTicks: (scale) => { scale.ticks = weekTicks(weeks, range, scale.width / 64); },
    ticks: {
      autoSkip: false, maxRotation: 0,
      callback: (value) => {
        const date = mondayOf(weeks, value);
        if (weekCount <= 30) return dayAndMonth(date);
        return weekCount <= 160 ? `${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}` : `${date.getUTCFullYear()}`;
      },
    },
  };
}

/** Ticks at weeks, first weeks of months or first weeks of years: evenly spaced, with room for at most `maxLabels`. */
function weekTicks(weeks, range, maxLabels) {
  const numbers = weekNumbers(range), minDistance = numbers.length / Math.max(2, maxLabels);
  const firstWeeksOf = (unit) =>
    numbers.filter((number) => unit(mondayOf(weeks, number)) !== unit(mondayOf(weeks, number - 1)));
  const months = () => firstWeeksOf((date) => date.getUTCMonth());
  const years = () => firstWeeksOf((date) => date.getUTCFullYear());
  const candidates = numbers.length <= 30 ? numbers : numbers.length <= 160 ? months() : years();
  const everyNth = (n) => candidates.filter((_, index) => (candidates.length - 1 - index) % n === 0);
  const hasRoom = (ticks) =>
    ticks.every((number, index) => index === 0 || number - ticks[index - 1] >= minDistance);
  let n = 1;
  while (!hasRoom(everyNth(n))) n += 1;
  return everyNth(n).map((value) => ({ value }));
}

/** Shades the part of a chart that is outside the window. */
const shading = {
  id: "shading",
  beforeDatasetsDraw: ({ ctx: context, chartArea: area, scales: { x } }, _, options) => {
    const start = Math.min(area.right, x.getPixelForValue(options.since));
    const end = Math.max(area.left, x.getPixelForValue(options.until));
    context.save();
    context.fillStyle = options.color;
    context.globalAlpha = 0.7;
    for (const [left, right] of [[area.left, start], [end, area.right]]) {
      if (right > left + 1) context.fillRect(left, area.top, right - left, area.bottom - area.top);
    }
    context.restore();
  },
};

/** An entry of a legend. `kind`: `box`, `dot`, `line` or `cross`; `fill`: a colour or pattern. */
function legendEntry(kind, fill, text) {
  const canvas = element("canvas", { width: 36, height: 24 }), context = canvas.getContext("2d");
  context.scale(2, 2);
  context.fillStyle = context.strokeStyle = fill;
  context.lineWidth = 2;
  context.beginPath();
  if (kind === "box") context.rect(2, 0, 14, 12);
  else if (kind === "dot") context.arc(9, 6, 3, 0, 7);
  else if (kind === "line") { context.moveTo(0, 6); context.lineTo(18, 6); }
  else for (const side of [-4, 4]) { context.moveTo(5, 6 - side); context.lineTo(13, 6 + side); }
  if (kind === "box" || kind === "dot") context.fill();
  else context.stroke();
  return element("span", null, canvas, text);
}
