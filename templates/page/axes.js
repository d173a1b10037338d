/* Axes, colours, shading and legends of the charts. */

const COARSE_STEPS = [1, 10, 60, 600, 3600, 6 * 3600, DAY, 3 * DAY, WEEK, 30 * DAY, 90 * DAY, 365 * DAY, 3650 * DAY];
const FINE_STEPS = [
  1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600, DAY, 2 * DAY,
  4 * DAY, WEEK, 2 * WEEK, 30 * DAY, 60 * DAY, 90 * DAY, 180 * DAY, 365 * DAY, 730 * DAY, 1825 * DAY, 3650 * DAY,
];
const MAX_DURATION_TICKS = 7;
const RATIO_TOPS = [[0.05, 0.01], [0.1, 0.02], [0.2, 0.05], [0.4, 0.1], [0.6, 0.2], [0.8, 0.2], [1, 0.2]];
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
  type: "linear", min: 0, suggestedMax: 2, stacked: true,
  ticks: { precision: 0, maxTicksLimit: 6 },
});

/** An axis from zero to the first round ratio that no value exceeds, with a tick at its top. */
function ratioAxis(values) {
  const highest = Math.max(...values);
  const [max, stepSize] = RATIO_TOPS.find(([top]) => top >= highest) || RATIO_TOPS.at(-1);
  return { type: "linear", min: 0, max, ticks: { callback: percent, stepSize } };
}

const shareAxis = () => ({
  type: "linear", min: 0, max: 1, stacked: true, ticks: { callback: percent, stepSize: 0.25 },
});

/** The steps from the one below all values to the one above them. */
function stepsAround(steps, lowest, highest) {
  const first = Math.max(0, steps.findLastIndex((step) => step < lowest));
  const last = steps.findIndex((step) => step > highest);
  return steps.slice(first, last < 0 ? undefined : last + 1);
}

/** A logarithmic axis of durations that begins and ends at a tick. */
function durationAxis(values) {
  const lowest = Math.max(1, Math.min(...values)), highest = Math.max(1, ...values);
  const fine = stepsAround(FINE_STEPS, lowest, highest);
  const steps = fine.length > MAX_DURATION_TICKS ? stepsAround(COARSE_STEPS, lowest, highest) : fine;
  return {
    type: "logarithmic", min: Math.min(steps[0], lowest * 0.9), max: Math.max(steps.at(-1), highest),
    afterBuildTicks: (scale) => { scale.ticks = steps.map((value) => ({ value })); },
    ticks: { callback: duration, autoSkip: false },
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

/** How each kind of legend entry is drawn, on a canvas of 18 by 12. */
const LEGEND_SHAPES = {
  box: (context) => { context.rect(2, 0, 14, 12); context.fill(); },
  outline: (context, fill) => {
    context.rect(3, 1, 12, 10);
    context.fillStyle = color(fill);
    context.fill();
    context.lineWidth = 1;
    context.stroke();
  },
  dot: (context) => { context.arc(9, 6, 3, 0, 7); context.fill(); },
  ring: (context) => { context.arc(9, 6, 3, 0, 7); context.lineWidth = 1.5; context.stroke(); },
  line: (context) => { context.moveTo(0, 6); context.lineTo(18, 6); context.stroke(); },
  dashes: (context) => { context.setLineDash([4, 3]); context.moveTo(0, 6); context.lineTo(18, 6); context.stroke(); },
  cross: (context) => {
    for (const side of [-4, 4]) { context.moveTo(5, 6 - side); context.lineTo(13, 6 + side); }
    context.stroke();
  },
};

/** An entry of a legend. `kind`: a key of LEGEND_SHAPES; `paint`: a colour or pattern; `fill`: of an outline. */
function legendEntry(kind, paint, text, fill) {
  const canvas = element("canvas", { width: 36, height: 24 }), context = canvas.getContext("2d");
  context.scale(2, 2);
  context.fillStyle = context.strokeStyle = paint;
  context.lineWidth = 2;
  context.beginPath();
  LEGEND_SHAPES[kind](context, fill);
  return element("span", null, canvas, text);
}
