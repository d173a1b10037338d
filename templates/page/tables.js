/* The same numbers as a table, each week a way to what it was made from. */

const COLUMNS = {
  deployments: ["Deployments", (weeks, week) => weeks.deployments[week]],
  failed: ["Failed", (weeks, week) => `${weeks.failed[week]} of ${weeks.counted[week]}`],
  broken: ["Of them failed", (weeks, week) => weeks.deployments_failed[week]],
  failure: ["Failure rate", (weeks, week) => percent(weeks.change_failure_rate[week])],
  lead: ["Lead time", (weeks, week) => duration(weeks.lead_time[week])],
  recovery: ["Recovery", (weeks, week) => duration(weeks.recovery_time[week])],
  rework: ["Rework", (weeks, week) => percent(weeks.rework_rate[week])],
};

const TABLES = {
  deployment_frequency: ["deployments", "broken"],
  lead_time: ["deployments", "lead"],
  change_failure_rate: ["failed", "failure"],
  recovery_time: ["failed", "recovery"],
  rework_rate: ["deployments", "rework"],
};

/** Filled when it is opened: five years have many rows. */
function table(section, metric, { weeks }, range) {
  const details = section.querySelector(".table");
  details.hidden = !weeks;
  details.ontoggle = () => { if (details.open) section.querySelector(".scroll").replaceChildren(filled()); };

  function filled() {
    const columns = TABLES[metric].map((name) => COLUMNS[name]);
    const head = ["Week", ...columns.map(([title]) => title)].map((title) => element("th", { scope: "col" }, title));
    const rows = numbersOf(range).reverse().map((week) => row(columns, week));
    return element("table", null,
      element("thead", null, element("tr", null, ...head)), element("tbody", null, ...rows));
  }

  function row(columns, week) {
    const open = element("button", {
      type: "button", class: "plain", onclick: () => choose({ show: weekKey(weeks, week) }),
    }, weekName(weeks, week));
    return element("tr", null,
      element("th", { scope: "row" }, open, isPartial(weeks, week) ? " (not whole)" : ""),
      ...columns.map(([, cell]) => element("td", null, String(cell(weeks, week)))));
  }

  if (weeks) details.ontoggle();
}
