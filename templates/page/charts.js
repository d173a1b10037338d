/* The charts: weekly values as bars or a line, weeks and deployments as dots or crosses. */

const charts = new Map(); // by key of CHARTS

const isLong = (range) => range.end - range.start > 120;
const isIsolated = (data, index) =>
  [index - 1, index + 1].every((neighbour) => !data[neighbour] || data[neighbour].y === null);
const weekPoints = (range, value, more) =>
  weekNumbers(range).map((week) => ({ x: week + 0.5, y: value(week), week, ...more }));

/** Bars of the weeks. A partial week is pale, with an outline. */
function barDataset(weeks, range, value, fill, partialFill = color("bar-partial")) {
  const isPale = ({ dataIndex }) => isPartial(weeks, range.start + dataIndex);
  return {
    type: "bar", data: weekPoints(range, value), order: 2,
    backgroundColor: (context) => (isPale(context) ? partialFill : fill),
    borderColor: color("bar"), borderWidth: (context) => (isPale(context) ? 1 : 0), borderSkipped: "bottom",
    barPercentage: 0.92, categoryPercentage: 0.84, maxBarThickness: 28,
  };
}

/** A line through the weeks. A week without a value leaves a gap; the line to a partial week is dashed. */
function lineDataset(weeks, range, series, { hasDots = true, ...more } = {}) {
  const data = weekPoints(range, (week) => series[week], more), accent = color("accent");
  const isPartialAt = (index) => isPartial(weeks, range.start + index);
  return {
    type: "line", data, order: 0, borderColor: accent, backgroundColor: accent, borderWidth: 2,
    spanGaps: false, clip: 8, pointHoverRadius: 6,
    pointRadius: ({ dataIndex }) => ((hasDots && !isLong(range)) || isIsolated(data, dataIndex) ? 3.5 : 0),
    pointBackgroundColor: ({ dataIndex }) => (isPartialAt(dataIndex) ? color("page") : accent),
    segment: {
      borderDash: ({ p0DataIndex, p1DataIndex }) =>
        (isPartialAt(p0DataIndex) || isPartialAt(p1DataIndex) ? [5, 4] : undefined),
    },
  };
}

/** The value of each week as a dot behind the line of four weeks. The dot of a partial week is hollow. */
function weekDotDataset(weeks, range, series) {
  return {
    ...lineDataset(weeks, range, series), showLine: false, order: 1, borderColor: color("mark"), pointHoverRadius: 5,
    pointRadius: isLong(range) ? 1.5 : 3, pointBorderWidth: 1.5,
    pointBackgroundColor: ({ dataIndex }) => color(isPartial(weeks, range.start + dataIndex) ? "page" : "mark"),
  };
}

/** The deployments for which `value` is neither null nor undefined, each at its time. */
function deploymentDataset(scope, range, value, style) {
  const data = scope.deployments.flatMap((deployment, index) => {
    const number = scope.first + index, y = value(deployment) ?? null;
    if (y === null || number < scope.weeks.at[range.start] || number >= scope.weeks.at[range.end]) return [];
    return [{ x: deploymentPosition(scope.weeks, number, deployment.at), y, deployment, number }];
  });
  return { type: "scatter", data, order: 1, clip: 6, ...style };
}

const dotStyle = (range, colorName = "mark", radius = 2.5) => ({
  pointStyle: "circle", radius: isLong(range) ? radius - 1 : radius, hoverRadius: radius + 2.5,
  borderColor: color(colorName), backgroundColor: color(colorName),
});

const crossStyle = (range) => ({
  pointStyle: "crossRot", radius: isLong(range) ? 3 : 5, hoverRadius: 7, borderWidth: 2,
  borderColor: color("bad"), backgroundColor: color("bad"),
});

const ifFailed = (value) => (deployment) => (deployment.failed ? value(deployment.failed) : null);
const failedLegend = () => ["cross", color("bad"), "deployment that failed"];
const PARTIAL_WEEK = "incomplete week";

/** The parts of a chart of weekly medians, with a mark for each deployment. */
const medianParts = (field) => (scope, range, value, style, legend) => ({
  valueAxis: durationAxis,
  datasets: [lineDataset(scope.weeks, range, scope.weeks[field]), deploymentDataset(scope, range, value, style)],
  legend: [["line", color("accent"), "weekly median"], legend],
  partialLegend: [isLong(range) ? "dashes" : "ring", color("accent"), PARTIAL_WEEK],
});

/** The parts of a chart of a rate over four weeks, with a dot for each week and a mark for some deployments. */
const rateParts = (field) => (scope, range, value, style, legend) => ({
  valueAxis: ratioAxis,
  datasets: [
    lineDataset(scope.weeks, range, scope.weeks[`rolling_${field}`], { hasDots: false, isRolling: true }),
    weekDotDataset(scope.weeks, range, scope.weeks[field]),
    deploymentDataset(scope, range, value, style),
  ],
  legend: [["line", color("accent"), "four weeks"], ["dot", color("mark"), "one week"], legend],
  partialLegend: ["ring", color("mark"), PARTIAL_WEEK],
});

function frequencyParts({ weeks }, range) {
  const hatched = hatchPattern(color("bad"));
  const outcome = mayBeHigher(weeks, "change_failure_rate") ? "no known failure" : "did not fail";
  const succeeded = (week) => weeks.deployments[week] - weeks.deployments_failed[week];
  return {
    valueAxis: countAxis,
    datasets: [
      barDataset(weeks, range, succeeded, color("bar")),
      barDataset(weeks, range, (week) => weeks.deployments_failed[week], hatched, hatched),
    ],
    legend: [["box", color("bar"), outcome], ["box", hatched, "failed"]],
    partialLegend: ["outline", color("bar"), PARTIAL_WEEK, "bar-partial"],
  };
}

const STAGES = [
  ["Coding", "stage-coding"], ["Waiting for review", "stage-pickup"],
  ["Review", "stage-review"], ["Waiting for deployment", "stage-delivery"],
];
const totalOf = (seconds) => seconds.reduce((sum, stage) => sum + stage, 0);

/** The share of a stage in the lead time of a week. */
function stageShare(weeks, week, stage) {
  const seconds = weeks.stages[week];
  return seconds && totalOf(seconds) ? seconds[stage] / totalOf(seconds) : null;
}

function stageParts({ weeks }, range) {
  return {
    valueAxis: shareAxis,
    datasets: STAGES.map(([, colorName], stage) => ({
      ...barDataset(weeks, range, (week) => stageShare(weeks, week, stage), color(colorName), color(colorName)),
      data: weekPoints(range, (week) => stageShare(weeks, week, stage), { stage }),
      borderColor: color("page"), borderWidth: 1, borderSkipped: false,
    })),
    legend: STAGES.map(([title, colorName]) => ["box", color(colorName), title.toLowerCase()]),
  };
}

/** By key: the parts of each chart (datasets, vertical axis, legend). The keys are metrics, and `stages`. */
const CHARTS = {
  deployment_frequency: frequencyParts,
  lead_time: (scope, range) => medianParts("lead_time")(
    scope, range, ({ lead }) => lead, dotStyle(range), ["dot", color("mark"), "deployment"]),
  stages: stageParts,
  change_failure_rate: (scope, range) => rateParts("change_failure_rate")(
    scope, range, ifFailed(() => 0), crossStyle(range), failedLegend()),
  recovery_time: (scope, range) => medianParts("recovery_time")(
    scope, range, ifFailed(({ seconds }) => seconds), crossStyle(range), failedLegend()),
  rework_rate: (scope, range) => rateParts("rework_rate")(
    scope, range, ({ rework }) => (rework ? 0 : null), dotStyle(range, "warn", 4),
    ["dot", color("warn"), "rework deployment"]),
};

/** For each metric: the field of its weekly values, and how to write one of them. */
const SERIES = {
  deployment_frequency: ["deployments", (value) => plural(value, "successful deployment")],
  lead_time: ["lead_time", (value) => `median ${duration(value)}`],
  change_failure_rate: ["change_failure_rate", percent],
  recovery_time: ["recovery_time", (value) => `median ${duration(value)}`],
  rework_rate: ["rework_rate", percent],
};

/** What the numerator of a rate counts. */
const COUNTED = { change_failure_rate: "failed", rework_rate: "rework" };

function rateText(metric, counts, week, ratio, isAtLeast) {
  const [part, total] = RATE_FIELDS[metric];
  if (ratio === null) return "no data";
  return `${ratePercent(ratio, isAtLeast)}: ${counts[part][week]} of ${counts[total][week]} ${COUNTED[metric]}`;
}

function weekTooltip(metric, weeks, week) {
  const [field, format] = SERIES[metric], value = weeks[field][week], lines = [];
  if (RATE_FIELDS[metric]) lines.push(rateText(metric, weeks, week, value, mayBeHigher(weeks, metric)));
  else lines.push(value === null ? "no data" : format(value));
  if (metric === "deployment_frequency") lines.push(`${weeks.deployments_failed[week]} of them failed`);
  return isPartial(weeks, week) ? [...lines, PARTIAL_WEEK] : lines;
}

const rollingTooltip = (metric, weeks, week) =>
  ["over four weeks, this one included",
    rateText(metric, weeks.rolling, week, weeks[`rolling_${metric}`][week], mayBeHigher(weeks, metric))];

/** The mean time of each stage, with its share. */
const stageLines = (weeks, week) => STAGES.map(([title], stage) =>
  `${title}: ${duration(weeks.stages[week][stage])} (${Math.round(stageShare(weeks, week, stage) * 100)} %)`);

function deploymentTooltip(metric, { at, changes, more, more_excluded, lead, failed, rework }) {
  if (metric === "lead_time") {
    return [dateTime(at), `${plural(changes.length + more + more_excluded, "change")}, median ${duration(lead)}`];
  }
  return [dateTime(at), metric === "rework_rate" ? rework : `${failed.rule}: ${recoveryText(failed)}`];
}

const tooltipCallbacks = (key, { weeks }) => ({
  title: ([{ raw }]) => (raw.deployment ? raw.deployment.name : weekName(weeks, raw.week)),
  label: ({ raw }) => {
    if (raw.deployment) return deploymentTooltip(key, raw.deployment);
    if (key === "stages") return ["mean per change", ...stageLines(weeks, raw.week)];
    return (raw.isRolling ? rollingTooltip : weekTooltip)(key, weeks, raw.week);
  },
});

/** What a chart shows, for screen readers. */
function chartDescription(metric, weeks, range) {
  const [field, format] = SERIES[metric], series = weeks[field];
  const withValue = weekNumbers(range).filter((week) => series[week] !== null);
  const valueCount = plural(withValue.length, "with a value", "with values");
  const values = withValue.map((week) => series[week]), highest = Math.max(...values);
  const ends = `first ${format(values[0])}, last ${format(values.at(-1))}, highest ${format(highest)}`;
  const weekCount = plural(range.end - range.start, "week");
  return `Chart of ${weekCount}, ${valueCount}: ${ends}. The table below has the same numbers.`;
}

/** Draw the chart of a metric and prepare its table; without data, say why. */
function showMetric(metric, scope, scopeWindow) {
  const section = $(metric), { weeks } = scope, range = weeks && weekRange(weeks, scopeWindow);
  const container = section.querySelector(".chart"), notice = section.querySelector(".nothing");
  const values = weeks ? weeks[SERIES[metric][0]].slice(range.start, range.end).filter((value) => value !== null) : [];
  const isEmpty = metric === "deployment_frequency" ? !values.some(Boolean) : !values.length;
  notice.hidden = !isEmpty;
  notice.textContent = isEmpty ? noDataText(metric, values, scopeWindow.cards[metric].reason, weeks) : "";
  section.querySelector(".trend").textContent = scopeWindow.trends?.[METRICS.indexOf(metric)] || "";
  prepareTable(section, metric, scope, range);
  showChart(metric, container, scope, range, isEmpty ? "" : chartDescription(metric, weeks, range));
  if (metric === "lead_time") showStages(scope, range);
}

function showStages(scope, range) {
  const { weeks } = scope, withStages = range ? weekNumbers(range).filter((week) => weeks.stages[week]) : [];
  $("stages").hidden = !withStages.length;
  const last = withStages.at(-1);
  const description = withStages.length
    ? `Bars of ${plural(withStages.length, "week")}. ${weekName(weeks, last)}: ${stageLines(weeks, last).join(", ")}. `
      + "The table above has the same numbers."
    : "";
  showChart("stages", $("stages"), scope, range, description);
}

/** Draw a chart into its container, or take it away if it has no description because there is nothing to draw. */
function showChart(key, container, scope, range, description) {
  const canvas = container.querySelector("canvas[role]"), copy = container.querySelector(".copy-place");
  charts.get(key)?.destroy();
  charts.delete(key);
  canvas.hidden = !description;
  container.querySelector(".legend").replaceChildren();
  copy.replaceChildren();
  if (!description) return;
  canvas.setAttribute("aria-label", description);
  charts.set(key, createChart(key, scope, range, canvas, container));
  const title = container.querySelector("h3").textContent, metric = key === "stages" ? "lead_time" : key;
  copy.append(copyButton(title, key, () => chartImage(metric, container)));
}

/** Why the weeks of a git history have no rate. */
const NONE_KNOWN = {
  change_failure_rate: "No failure is known; a git history has no incidents",
  rework_rate: "No rework is known; a git history records no rollbacks",
};

function noDataText(metric, values, reason, weeks) {
  if (reason) return `No data: ${reason}`;
  if (weeks && mayBeHigher(weeks, metric)) return NONE_KNOWN[metric];
  if (metric === "deployment_frequency" && values.length) return "No deployment succeeded in these weeks";
  return `The weeks of this window are not on this page${seeLedger("history.json")}`;
}

/** The entries of a legend: those of the chart, and those of what only some charts have. */
function legendOf({ legend, partialLegend }, { weeks }, range) {
  const hasPartial = [range.start, range.end - 1].some((week) => isPartial(weeks, week));
  const hasOutside = range.since >= range.start + 1 || range.until < range.end;
  return [
    ...legend,
    ...(hasPartial && partialLegend ? [partialLegend] : []),
    ...(hasOutside ? [["box", color("grid"), "outside the window"]] : []),
  ];
}

function createChart(key, scope, range, canvas, container) {
  const parts = CHARTS[key](scope, range), { datasets, valueAxis } = parts;
  const legend = legendOf(parts, scope, range).map((entry) => legendEntry(...entry));
  container.querySelector(".legend").replaceChildren(...legend);
  const points = datasets.flatMap(({ data }) => data).filter((point) => point.y !== null);
  if (valueAxis === durationAxis) points.forEach((point) => { point.y ||= 1; }); // a logarithmic axis has no zero
  return new Chart(canvas, {
    data: { datasets },
    plugins: [shading],
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
      layout: { padding: { right: 12 } },
      interaction: { mode: "nearest", intersect: false, axis: "xy" },
      onClick: (_, [hit]) => {
        if (!hit) return;
        const { deployment, week } = datasets[hit.datasetIndex].data[hit.index];
        select({ show: deployment ? `deployment:${deployment.id}` : weekKey(scope.weeks, week) });
      },
      plugins: {
        legend: { display: false },
        shading: { since: range.since, until: range.until, color: color("grid") },
        tooltip: {
          callbacks: tooltipCallbacks(key, scope), displayColors: false, padding: 10, cornerRadius: 6,
          backgroundColor: color("text"), titleColor: color("page"), bodyColor: color("page"),
        },
      },
      scales: {
        x: axisOptions(weekAxis(scope.weeks, range)),
        y: axisOptions(valueAxis(points.map((point) => point.y))),
      },
    },
  });
}
