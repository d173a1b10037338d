/* A chart a metric: weekly values as bars or a line, deployments as marks. */

const charts = new Map();

const isLong = (range) => range.end - range.start > 120;
const alone = (data, place) => [place - 1, place + 1].every((other) => !data[other] || data[other].y === null);
const points = (range, value) => numbersOf(range).map((week) => ({ x: week + 0.5, y: value(week), week }));

const bars = (range, value, paint) => ({
  type: "bar", data: points(range, value), order: 2, backgroundColor: paint,
  barPercentage: 0.92, categoryPercentage: 0.84, maxBarThickness: 28,
});

/** A week without a value leaves a gap; one that is not whole is hollow. */
function line(weeks, range, series) {
  const data = points(range, (week) => series[week]), blue = color("accent");
  return {
    type: "line", data, order: 0, borderColor: blue, backgroundColor: blue, borderWidth: 2, spanGaps: false, clip: 8,
    pointHoverRadius: 6,
    pointRadius: ({ dataIndex }) => (isLong(range) && !alone(data, dataIndex) ? 0 : 3.5),
    pointBackgroundColor: ({ dataIndex }) => (isPartial(weeks, range.start + dataIndex) ? color("page") : blue),
  };
}

/** Deployments that have a value here, each at its time. */
function marks(one, range, value, style) {
  const data = one.deployments.flatMap((deployment, place) => {
    const number = one.first + place, y = value(deployment) ?? null;
    if (y === null || number < one.weeks.at[range.start] || number >= one.weeks.at[range.end]) return [];
    return [{ x: placeOf(one.weeks, number, deployment.at), y, deployment, number }];
  });
  return { type: "scatter", data, order: 1, clip: 6, ...style };
}

const dots = (range, name = "mark", radius = 2.5) => ({
  pointStyle: "circle", radius: isLong(range) ? radius - 1 : radius, hoverRadius: radius + 2.5,
  borderColor: color(name), backgroundColor: color(name),
});

const crosses = (range) => ({
  pointStyle: "crossRot", radius: isLong(range) ? 3 : 5, hoverRadius: 7, borderWidth: 2,
  borderColor: color("bad"), backgroundColor: color("bad"),
});

const failing = (value) => (deployment) => (deployment.failed ? value(deployment.failed) : null);
const CROSS = () => ["cross", color("bad"), "deployment that failed"];

/** The datasets of each metric, its axis, and what stands in its legend. */
const CHARTS = {
  deployment_frequency: ({ weeks }, range) => {
    const failed = hatched(color("bad"));
    return {
      y: counts,
      sets: [
        bars(range, (week) => weeks.deployments[week] - weeks.deployments_failed[week], color("bar")),
        bars(range, (week) => weeks.deployments_failed[week], failed),
      ],
      legend: [["box", color("bar"), "did not fail"], ["box", failed, "failed"]],
    };
  },
  lead_time: (one, range) => ({
    y: durations,
    sets: [line(one.weeks, range, one.weeks.lead_time), marks(one, range, ({ lead }) => lead, dots(range))],
    legend: [["line", color("accent"), "median of the week"], ["dot", color("mark"), "deployment"]],
  }),
  change_failure_rate: (one, range) => ({
    y: (values) => shares(Math.max(...values)),
    sets: [line(one.weeks, range, one.weeks.change_failure_rate), marks(one, range, failing(() => 0), crosses(range))],
    legend: [["line", color("accent"), "share of the week"], CROSS()],
  }),
  recovery_time: (one, range) => ({
    y: durations,
    sets: [
      line(one.weeks, range, one.weeks.recovery_time),
      marks(one, range, failing(({ seconds }) => seconds), crosses(range)),
    ],
    legend: [["line", color("accent"), "median of the week"], CROSS()],
  }),
  rework_rate: (one, range) => ({
    y: (values) => shares(Math.max(...values)),
    sets: [
      line(one.weeks, range, one.weeks.rework_rate),
      marks(one, range, ({ rework }) => (rework ? 0 : null), dots(range, "warn", 4)),
    ],
    legend: [["line", color("accent"), "share of the week"], ["dot", color("warn"), "repair"]],
  }),
};

/** The weekly values that a chart is about, and their words. */
const SERIES = {
  deployment_frequency: ["deployments", (value) => plural(value, "successful deployment")],
  lead_time: ["lead_time", (value) => `median ${duration(value)}`],
  change_failure_rate: ["change_failure_rate", percent],
  recovery_time: ["recovery_time", (value) => `median ${duration(value)}`],
  rework_rate: ["rework_rate", percent],
};

function weekLines(metric, weeks, week) {
  const [name, words] = SERIES[metric], value = weeks[name][week];
  const lines = [value === null ? "no data" : words(value)];
  if (metric === "deployment_frequency") {
    lines.push(`${weeks.deployments_failed[week]} of them failed`);
  } else if (metric === "change_failure_rate") {
    lines.push(`${weeks.failed[week]} of ${weeks.counted[week]} failed`);
  } else if (metric === "rework_rate") {
    lines.push(`of ${plural(weeks.counted[week], "deployment")}`);
  }
  return isPartial(weeks, week) ? [...lines, "not a whole week"] : lines;
}

function markLines(metric, { at, changes, more, more_excluded, lead, failed, rework }) {
  if (metric === "lead_time") {
    return [minute(at), `${plural(changes.length + more + more_excluded, "change")}, median ${duration(lead)}`];
  }
  return [minute(at), metric === "rework_rate" ? rework : `${failed.rule}: ${ended(failed)}`];
}

const hover = (metric, { weeks }) => ({
  title: ([{ raw }]) => (raw.deployment ? raw.deployment.name : weekName(weeks, raw.week)),
  label: ({ raw }) => (raw.deployment ? markLines(metric, raw.deployment) : weekLines(metric, weeks, raw.week)),
});

/** What a chart shows, for those who do not see it. */
function spokenChart(metric, weeks, range) {
  const [name, words] = SERIES[metric], series = weeks[name];
  const known = numbersOf(range).filter((week) => series[week] !== null);
  const many = plural(known.length, "of them with a value", "of them with values");
  const ends = `from ${words(series[known[0]])} to ${words(series[known.at(-1)])}`;
  return `Chart of ${plural(range.end - range.start, "week")}, ${many}: ${ends}. The same is in the table below.`;
}

function draw(metric, one, span) {
  const section = $(metric), { weeks } = one, range = weeks && drawn(weeks, span);
  const canvas = section.querySelector(".canvas canvas"), nothing = section.querySelector(".nothing");
  charts.get(metric)?.destroy();
  charts.delete(metric);
  const values = weeks ? weeks[SERIES[metric][0]].slice(range.start, range.end).filter((value) => value !== null) : [];
  const missing = metric === "deployment_frequency" ? !values.some(Boolean) : !values.length;
  nothing.hidden = !missing;
  canvas.hidden = missing;
  const { reason } = span.cards[metric], elsewhere = "The weeks of this window are in history.json, not on this page";
  const why = metric === "deployment_frequency" && values.length ? "No deployment succeeded in these weeks" : elsewhere;
  nothing.textContent = missing ? (reason ? `No data: ${reason}` : why) : "";
  section.querySelector(".legend").replaceChildren();
  table(section, metric, one, range);
  if (missing) return;
  canvas.setAttribute("aria-label", spokenChart(metric, weeks, range));
  charts.set(metric, chart(metric, one, range, canvas));
}

function chart(metric, one, range, canvas) {
  const { sets, legend, y } = CHARTS[metric](one, range);
  const outside = range.since >= range.start + 1 || range.until < range.end;
  if (outside) legend.push(["box", color("grid"), "outside the window"]);
  $(metric).querySelector(".legend").replaceChildren(...legend.map((entry) => legendEntry(...entry)));
  const drawnPoints = sets.flatMap(({ data }) => data).filter((point) => point.y !== null);
  if (y === durations) drawnPoints.forEach((point) => { point.y ||= 1; }); // nought has no place on a logarithmic axis
  return new Chart(canvas, {
    data: { datasets: sets },
    plugins: [shading],
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
      layout: { padding: { right: 12 } },
      interaction: { mode: "nearest", intersect: false, axis: "xy" },
      onClick: (_, [hit]) => {
        if (!hit) return;
        const { deployment, week } = sets[hit.datasetIndex].data[hit.index];
        choose({ show: deployment ? `deployment:${deployment.id}` : weekKey(one.weeks, week) });
      },
      plugins: {
        legend: { display: false },
        shading: { since: range.since, until: range.until, color: color("grid") },
        tooltip: {
          callbacks: hover(metric, one), displayColors: false, padding: 10, cornerRadius: 6,
          backgroundColor: color("text"), titleColor: color("page"), bodyColor: color("page"),
        },
      },
      scales: { x: axis(weeksAxis(one.weeks, range)), y: axis(y(drawnPoints.map((point) => point.y))) },
    },
  });
}
