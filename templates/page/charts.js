/* One chart per metric: weekly values as bars or a line, deployments as dots or crosses. */

const charts = new Map(); // by metric

const isLong = (range) => range.end - range.start > 120;
const isIsolated = (data, index) =>
  [index - 1, index + 1].every((neighbour) => !data[neighbour] || data[neighbour].y === null);
const weekPoints = (range, value) => weekNumbers(range).map((week) => ({ x: week + 0.5, y: value(week), week }));

const barDataset = (range, value, fill) => ({
  type: "bar", data: weekPoints(range, value), order: 2, backgroundColor: fill,
  barPercentage: 0.92, categoryPercentage: 0.84, maxBarThickness: 28,
});

/** A line through the weeks. A week without a value leaves a gap; the dot of a partial week is hollow. */
function lineDataset(weeks, range, series) {
  const data = weekPoints(range, (week) => series[week]), accent = color("accent");
  return {
    type: "line", data, order: 0, borderColor: accent, backgroundColor: accent, borderWidth: 2,
    spanGaps: false, clip: 8, pointHoverRadius: 6,
    pointRadius: ({ dataIndex }) => (isLong(range) && !isIsolated(data, dataIndex) ? 0 : 3.5),
    pointBackgroundColor: ({ dataIndex }) => (isPartial(weeks, range.start + dataIndex) ? color("page") : accent),
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

/** For each metric: its datasets, its vertical axis, and the entries of its legend. */
const CHART_PARTS = {
  deployment_frequency: ({ weeks }, range) => {
    const hatched = hatchPattern(color("bad"));
    return {
      valueAxis: countAxis,
      datasets: [
        barDataset(range, (week) => weeks.deployments[week] - weeks.deployments_failed[week], color("bar")),
        barDataset(range, (week) => weeks.deployments_failed[week], hatched),
      ],
      legend: [["box", color("bar"), "did not fail"], ["box", hatched, "failed"]],
    };
  },
  lead_time: (scope, range) => ({
    valueAxis: durationAxis,
    datasets: [
      lineDataset(scope.weeks, range, scope.weeks.lead_time),
      deploymentDataset(scope, range, ({ lead }) => lead, dotStyle(range)),
    ],
    legend: [["line", color("accent"), "median of the week"], ["dot", color("mark"), "deployment"]],
  }),
  change_failure_rate: (scope, range) => ({
    valueAxis: ratioAxis,
    datasets: [
      lineDataset(scope.weeks, range, scope.weeks.change_failure_rate),
      deploymentDataset(scope, range, ifFailed(() => 0), crossStyle(range)),
    ],
    legend: [["line", color("accent"), "share of the week"], failedLegend()],
  }),
  recovery_time: (scope, range) => ({
    valueAxis: durationAxis,
    datasets: [
      lineDataset(scope.weeks, range, scope.weeks.recovery_time),
      deploymentDataset(scope, range, ifFailed(({ seconds }) => seconds), crossStyle(range)),
    ],
    legend: [["line", color("accent"), "median of the week"], failedLegend()],
  }),
  rework_rate: (scope, range) => ({
    valueAxis: ratioAxis,
    datasets: [
      lineDataset(scope.weeks, range, scope.weeks.rework_rate),
      deploymentDataset(scope, range, ({ rework }) => (rework ? 0 : null), dotStyle(range, "warn", 4)),
    ],
    legend: [["line", color("accent"), "share of the week"], ["dot", color("warn"), "repair"]],
  }),
};

/** For each metric: the field of its weekly values, and how to write one of them. */
const SERIES = {
  deployment_frequency: ["deployments", (value) => plural(value, "successful deployment")],
  lead_time: ["lead_time", (value) => `median ${duration(value)}`],
  change_failure_rate: ["change_failure_rate", percent],
  recovery_time: ["recovery_time", (value) => `median ${duration(value)}`],
  rework_rate: ["rework_rate", percent],
};

function weekTooltip(metric, weeks, week) {
  const [field, format] = SERIES[metric], value = weeks[field][week];
  const lines = [value === null ? "no data" : format(value)];
  if (metric === "deployment_frequency") {
    lines.push(`${weeks.deployments_failed[week]} of them failed`);
  } else if (metric === "change_failure_rate") {
    lines.push(`${weeks.failed[week]} of ${weeks.counted[week]} failed`);
  } else if (metric === "rework_rate") {
    lines.push(`of ${plural(weeks.counted[week], "deployment")}`);
  }
  return isPartial(weeks, week) ? [...lines, "not a whole week"] : lines;
}

function deploymentTooltip(metric, { at, changes, more, more_excluded, lead, failed, rework }) {
  if (metric === "lead_time") {
    return [dateTime(at), `${plural(changes.length + more + more_excluded, "change")}, median ${duration(lead)}`];
  }
  return [dateTime(at), metric === "rework_rate" ? rework : `${failed.rule}: ${recoveryText(failed)}`];
}

const tooltipCallbacks = (metric, { weeks }) => ({
  title: ([{ raw }]) => (raw.deployment ? raw.deployment.name : weekName(weeks, raw.week)),
  label: ({ raw }) =>
    (raw.deployment ? deploymentTooltip(metric, raw.deployment) : weekTooltip(metric, weeks, raw.week)),
});

/** What a chart shows, for screen readers. */
function chartDescription(metric, weeks, range) {
  const [field, format] = SERIES[metric], series = weeks[field];
  const withValue = weekNumbers(range).filter((week) => series[week] !== null);
  const valueCount = plural(withValue.length, "of them with a value", "of them with values");
  const ends = `from ${format(series[withValue[0]])} to ${format(series[withValue.at(-1)])}`;
  return `Chart of ${plural(range.end - range.start, "week")}, ${valueCount}: ${ends}. The same is in the table below.`;
}

/** Draw the chart of a metric and prepare its table; without data, say why. */
function showMetric(metric, scope, scopeWindow) {
  const section = $(metric), { weeks } = scope, range = weeks && weekRange(weeks, scopeWindow);
  const canvas = section.querySelector(".canvas canvas"), notice = section.querySelector(".nothing");
  charts.get(metric)?.destroy();
  charts.delete(metric);
  const values = weeks ? weeks[SERIES[metric][0]].slice(range.start, range.end).filter((value) => value !== null) : [];
  const isEmpty = metric === "deployment_frequency" ? !values.some(Boolean) : !values.length;
  notice.hidden = !isEmpty;
  canvas.hidden = isEmpty;
  notice.textContent = isEmpty ? noDataText(metric, values, scopeWindow.cards[metric].reason) : "";
  section.querySelector(".legend").replaceChildren();
  prepareTable(section, metric, scope, range);
  if (isEmpty) return;
  canvas.setAttribute("aria-label", chartDescription(metric, weeks, range));
  charts.set(metric, createChart(metric, scope, range, canvas));
}

function noDataText(metric, values, reason) {
  if (reason) return `No data: ${reason}`;
  if (metric === "deployment_frequency" && values.length) return "No deployment succeeded in these weeks";
  return "The weeks of this window are in history.json, not on this page";
}

function createChart(metric, scope, range, canvas) {
  const { datasets, legend, valueAxis } = CHART_PARTS[metric](scope, range);
  const hasOutside = range.since >= range.start + 1 || range.until < range.end;
  if (hasOutside) legend.push(["box", color("grid"), "outside the window"]);
  $(metric).querySelector(".legend").replaceChildren(...legend.map((entry) => legendEntry(...entry)));
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
          callbacks: tooltipCallbacks(metric, scope), displayColors: false, padding: 10, cornerRadius: 6,
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
