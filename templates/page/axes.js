/* Axes, and the looks of what is drawn. */

const TIMES = [1, 10, 60, 600, 3600, 6 * 3600, DAY, 3 * DAY, WEEK, 30 * DAY, 90 * DAY, 365 * DAY, 3650 * DAY];
const AXIS_WIDTH = 58; // the same for all charts, so that they begin at one line

const probe = document.createElement("span");

/** A colour of the style sheet, as a canvas takes it. */
function color(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** Not by colour alone. */
function hatched(base) {
  const tile = document.createElement("canvas"), pen = tile.getContext("2d");
  tile.width = tile.height = 8;
  pen.fillStyle = base;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = color("page");
  pen.lineWidth = 2;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift - 1, 9);
    pen.lineTo(shift + 9, -1);
  }
  pen.stroke();
  return pen.createPattern(tile, "repeat");
}

const axis = (own) => ({
  grid: { color: color("grid"), drawTicks: false },
  border: { display: false },
  afterFit: (made) => { if (made.axis === "y") made.width = AXIS_WIDTH; },
  ...own,
  ticks: { color: color("muted"), padding: 6, font: { size: 12 }, ...own.ticks },
});

const counts = () => ({
  type: "linear", min: 0, suggestedMax: 4, stacked: true,
  ticks: { precision: 0, maxTicksLimit: 6 },
});

const shares = (most) => ({
  type: "linear", min: 0, max: Math.min(1, Math.max(0.2, Math.ceil(most * 10) / 10)),
  ticks: { callback: percent, maxTicksLimit: 6 },
});

/** Logarithmic, with room up to the next step of the clock. */
function durations(values) {
  const least = Math.max(1, Math.min(...values)), most = Math.max(1, ...values);
  return {
    type: "logarithmic",
    min: TIMES.findLast((step) => step < least) || 0.9,
    max: TIMES.find((step) => step > most) || most * 2,
    afterBuildTicks: (made) => {
      made.ticks = TIMES.filter((value) => value >= made.min && value <= made.max).map((value) => ({ value }));
    },
    ticks: { callback: duration, maxTicksLimit: 7 },
  };
}

function weeksAxis(weeks, range) {
  const width = range.end - range.start;
  return {
    type: "linear", min: range.start, max: range.end, offset: false, stacked: true,
    grid: { display: false },
    afterBuildTicks: (made) => { made.ticks = ticksOf(weeks, range, made.width / 64); },
    ticks: {
      autoSkip: false, maxRotation: 0,
      callback: (value) => {
        const date = monday(weeks, value);
        if (width <= 30) return dayOf(date);
        return width <= 160 ? `${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}` : `${date.getUTCFullYear()}`;
      },
    },
  };
}

/** Weeks, the first ones of months, or of years, evenly apart and with room for so many names. */
function ticksOf(weeks, range, most) {
  const all = numbersOf(range), apart = all.length / Math.max(2, most);
  const begins = (unit) => all.filter((number) => unit(monday(weeks, number)) !== unit(monday(weeks, number - 1)));
  const months = () => begins((date) => date.getUTCMonth()), years = () => begins((date) => date.getUTCFullYear());
  const fitting = all.length <= 30 ? all : all.length <= 160 ? months() : years();
  const every = (step) => fitting.filter((_, place) => (fitting.length - 1 - place) % step === 0);
  const roomy = (kept) => kept.every((value, place) => place === 0 || value - kept[place - 1] >= apart);
  let step = 1;
  while (!roomy(every(step))) step += 1;
  return every(step).map((value) => ({ value }));
}

/** What lies outside of the window is shaded. */
const shading = {
  id: "shading",
  beforeDatasetsDraw: ({ ctx: pen, chartArea: area, scales: { x } }, _, options) => {
    const start = Math.min(area.right, x.getPixelForValue(options.since));
    const end = Math.max(area.left, x.getPixelForValue(options.until));
    pen.save();
    pen.fillStyle = options.color;
    pen.globalAlpha = 0.7;
    for (const [left, right] of [[area.left, start], [end, area.right]]) {
      if (right > left + 1) pen.fillRect(left, area.top, right - left, area.bottom - area.top);
    }
    pen.restore();
  },
};

/** One entry of a legend: a box, a dot, a line or a cross, and what it stands for. */
function legendEntry(kind, paint, text) {
  const canvas = element("canvas", { width: 36, height: 24 }), pen = canvas.getContext("2d");
  pen.scale(2, 2);
  pen.fillStyle = pen.strokeStyle = paint;
  pen.lineWidth = 2;
  pen.beginPath();
  if (kind === "box") pen.rect(2, 0, 14, 12);
  else if (kind === "dot") pen.arc(9, 6, 3, 0, 7);
  else if (kind === "line") { pen.moveTo(0, 6); pen.lineTo(18, 6); }
  else for (const side of [-4, 4]) { pen.moveTo(5, 6 - side); pen.lineTo(13, 6 + side); }
  if (kind === "box" || kind === "dot") pen.fill();
  else pen.stroke();
  return element("span", null, canvas, text);
}
