/* The weekly values as a table. Each week is a button that opens its evidence. */

const rateCell = (weeks, week, metric, prefix = "") =>
  ratePercent(weeks[prefix + metric][week], mayBeHigher(weeks, metric));

/** By key: the title of a column, and the value of its cell in a week. */
const COLUMNS = {
  deployments: ["Deployments", (weeks, week) => weeks.deployments[week]],
  failedOfCounted: ["Failed", (weeks, week) => `${weeks.failed[week]} of ${weeks.counted[week]}`],
  failedDeployments: ["Of which failed", (weeks, week) => weeks.deployments_failed[week]],
  failureRate: ["Failure rate", (weeks, week) => rateCell(weeks, week, "change_failure_rate")],
  rollingFailureRate: ["Over four weeks", (weeks, week) => rateCell(weeks, week, "change_failure_rate", "rolling_")],
  leadTime: ["Lead time", (weeks, week) => duration(weeks.lead_time[week])],
  recoveryTime: ["Recovery", (weeks, week) => duration(weeks.recovery_time[week])],
  reworkOfReached: ["Rework", (weeks, week) => `${weeks.rework[week]} of ${weeks.reached[week]}`],
  reworkRate: ["Rework rate", (weeks, week) => rateCell(weeks, week, "rework_rate")],
  rollingReworkRate: ["Over four weeks", (weeks, week) => rateCell(weeks, week, "rework_rate", "rolling_")],
  ...Object.fromEntries(STAGES.map(([title], stage) =>
    [title, [`${title} (mean)`, (weeks, week) => duration(weeks.stages[week]?.[stage])]])),
};

const COLUMNS_BY_METRIC = {
  deployment_frequency: ["deployments", "failedDeployments"],
  lead_time: ["deployments", "leadTime"],
  change_failure_rate: ["failedOfCounted", "failureRate", "rollingFailureRate"],
  recovery_time: ["failedOfCounted", "recoveryTime"],
  rework_rate: ["reworkOfReached", "reworkRate", "rollingReworkRate"],
};

/** Prepare the table of a metric. It is built when it is opened, since five years have many rows. */
function prepareTable(section, metric, { weeks }, range) {
  const details = section.querySelector(".table");
  details.hidden = !weeks;
  details.ontoggle = () => { if (details.open) section.querySelector(".scroll").replaceChildren(buildTable()); };

  function buildTable() {
    const stages = metric === "lead_time" && weeks.stages.length ? STAGES.map(([title]) => title) : [];
    const columns = [...COLUMNS_BY_METRIC[metric], ...stages].map((key) => COLUMNS[key]);
    const head = ["Week", ...columns.map(([title]) => title)].map((title) => element("th", { scope: "col" }, title));
    const rows = weekNumbers(range).reverse().map((week) => buildRow(columns, week));
    return element("table", null,
      element("thead", null, element("tr", null, ...head)), element("tbody", null, ...rows));
  }

  function buildRow(columns, week) {
    const button = element("button", {
      type: "button", class: "plain", "data-focus": `${metric}:${weekKey(weeks, week)}`,
      onclick: () => select({ show: weekKey(weeks, week) }),
    }, weekName(weeks, week));
    return element("tr", null,
      element("th", { scope: "row" }, button, isPartial(weeks, week) ? ` (${PARTIAL_WEEK})` : ""),
      ...columns.map(([, cell]) => element("td", null, String(cell(weeks, week)))));
  }

  if (weeks) details.ontoggle();
}
