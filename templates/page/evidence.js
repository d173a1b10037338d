/* The evidence of a number, in a dialog: deployments with their changes, failures and incidents. */

const LIST_STEP = 50; // items that a list shows at a time
const STATUS_TEXTS = { failure: "did not reach users", cancelled: "cancelled" };

/** The items with numbers from `from` to before `to`; `first` is the number of the first item in the page. */
const itemsInRange = (items, first, [from, to]) => items.slice(Math.max(0, from - first), Math.max(0, to - first));
const newestFirst = (items) => [...items].reverse();
const isMeasured = ({ change }) => typeof change[3] === "number";
const leadTimeOrReason = (value) => (typeof value === "number" ? duration(value) : value);

function recoveryText(failed) {
  if (failed.seconds !== undefined) return `recovered after ${duration(failed.seconds)}`;
  return failed.by ? "no recovery time, because the recorded fix is earlier than the failure" : "not recovered yet";
}

const chip = (kind, text) => element("span", { class: `chip ${kind}` }, text);
const headline = (title, ...rest) =>
  element("div", { class: "line" }, element("span", { class: "what" }, title), ...rest);

function failureElement(failed) {
  return element("p", { class: "why" }, "Failed (rule ", element("code", null, failed.rule), "): ",
    linkOrText(failed.because, failed.link), `; ${recoveryText(failed)}${failed.by ? ` (${failed.by})` : ""}.`);
}

function changeItem([name, title, link, value]) {
  return element("li", null,
    element("span", { class: "number" }, linkOrText(name, link)),
    element("span", { class: "title", dir: "auto" }, title),
    element("span", { class: "lead" }, leadTimeOrReason(value)));
}

/** How many changes of a deployment the page does not list. */
const unlistedCount = ({ more, more_excluded }) => more + more_excluded;

function deploymentItem(deployment) {
  const { name, link, failed, counted, rework, at, changes } = deployment, unlisted = unlistedCount(deployment);
  return element("li", null,
    headline(linkOrText(name, link),
      failed ? chip("bad", "failed") : null,
      counted ? null : chip("off", STATUS_TEXTS[deployment.status]),
      rework ? chip("warn", "rework") : null,
      timeElement(at)),
    failed ? failureElement(failed) : null,
    rework ? element("p", { class: "why" }, `Rework by ${rework}.`) : null,
    changes.length ? element("ul", { class: "changes" }, ...changes.map(changeItem)) : null,
    unlisted ? element("p", { class: "quietly" }, `and ${plural(unlisted, "more change")}`) : null);
}

function incidentItem(incident) {
  const { title, link, severity, at, attributed, because } = incident;
  const state = incident.seconds === undefined ? "Still open" : `Resolved after ${duration(incident.seconds)}`;
  return element("li", null,
    headline(linkOrText(title, link), severity ? chip("off", severity) : null, timeElement(at)),
    element("p", { class: "why" },
      ...withCode(`${state}; attributed to ${attributed || "no deployment"}: ${because}.`)));
}

function leadTimeItem({ deployment, change: [name, title, link, value] }) {
  return element("li", null,
    headline(linkOrText(name, link), element("span", { class: "title", dir: "auto" }, title),
      element("span", null, leadTimeOrReason(value))),
    element("p", { class: "quietly" },
      "with ", linkOrText(deployment.name, deployment.link), `, ${dateTime(deployment.at)}`));
}

/** A list that shows its first items, and a button that shows more of them. */
function growingList(items, buildItem) {
  const list = element("ul", { class: "evidence" });
  const button = element("button", { type: "button", class: "quiet more" });
  let shownCount = 0;
  const showMore = () => {
    const added = items.slice(shownCount, shownCount + LIST_STEP).map(buildItem);
    const focused = shownCount ? added[0] : null;
    list.append(...added);
    shownCount += added.length;
    const left = items.length - shownCount;
    button.textContent = `Show ${Math.min(LIST_STEP, left)} more of ${left.toLocaleString("en-US")}`;
    button.hidden = !left;
    focused?.querySelector("a, button")?.focus();
  };
  button.addEventListener("click", showMore);
  showMore();
  return [list, button];
}

const failedDeployments = (deployments) => newestFirst(deployments.filter(({ failed }) => failed));
const reworkDeployments = (deployments) => newestFirst(deployments.filter(({ rework }) => rework));

/** The listed changes of all deployments, the slowest first, those without a lead time last. */
function changesOf(deployments) {
  const changes = deployments.flatMap((deployment) => deployment.changes.map((change) => ({ deployment, change })));
  const seconds = (item) => (isMeasured(item) ? item.change[3] : -1);
  return changes.sort((a, b) => seconds(b) - seconds(a));
}

const sum = (items, value) => items.reduce((total, item) => total + value(item), 0);
const countText = (noun) => ({ length }) => (length ? plural(length, noun) : `No ${noun}`);

/** Only successful deployments count; other attempts are listed with them and counted separately. */
function attemptsText(deployments) {
  const successful = deployments.filter(({ status }) => status === "success").length;
  const others = deployments.length - successful, othersText = plural(others, "unsuccessful attempt");
  if (!others) return countText("deployment")({ length: successful });
  return successful ? `${plural(successful, "deployment")}, ${othersText}` : othersText;
}

function changesText(items, deployments) {
  const listed = items.filter(isMeasured).length, measured = listed + sum(deployments, ({ more }) => more);
  const excluded = items.length - listed + sum(deployments, ({ more_excluded }) => more_excluded);
  if (listed < measured) return `${listed.toLocaleString("en-US")} of ${plural(measured, "change")} listed`;
  const text = countText("change")({ length: measured });
  return `${text}${excluded ? `, ${excluded.toLocaleString("en-US")} excluded` : ""}`;
}

/** How many changes the page does not list, with a lead time and without one. */
function unlistedText(measured, excluded) {
  const nouns = measured ? ["change is", "changes are"] : ["excluded change is", "excluded changes are"];
  const text = `${plural(measured + excluded, ...nouns)} not listed`;
  if (!measured || !excluded) return text;
  const [some, others] = [measured, excluded].map((count) => count.toLocaleString("en-US"));
  return `${text}: ${some} with a lead time, ${others} excluded`;
}

/** A note on the changes that the page does not list. */
function unlistedNote(deployments) {
  const [measured, excluded] = ["more", "more_excluded"].map((field) => sum(deployments, (each) => each[field]));
  if (!measured && !excluded) return [];
  const incomplete = plural(deployments.filter(unlistedCount).length, "deployment");
  const origin = `For ${incomplete} with many changes, only ${measured ? "the slowest" : "some"} are listed.`;
  return [element("p", null, `${origin} ${unlistedText(measured, excluded)}${seeLedger("facts/")}.`)];
}

const LONGEST_FIRST = "longest first";

/** For each metric: which items are evidence, how one is shown, and how their number is written. */
const EVIDENCE_LISTS = {
  deployment_frequency: [newestFirst, deploymentItem, attemptsText],
  lead_time: [changesOf, leadTimeItem, changesText],
  change_failure_rate: [failedDeployments, deploymentItem, countText("failed deployment")],
  recovery_time: [failedDeployments, deploymentItem, countText("failed deployment")],
  rework_rate: [reworkDeployments, deploymentItem, countText("rework deployment")],
};
const METRICS_WITH_INCIDENTS = ["deployment_frequency", "change_failure_rate", "recovery_time"];

/**
 * The evidence that `key` selects: of a metric in the window (`lead_time`), of a week (`week:2026-W47`), or of a
 * deployment (`deployment:<id>`). Null if the page does not have it.
 */
function findEvidence(scope, scopeWindow, key) {
  const { weeks } = scope;
  if (METRICS.includes(key)) {
    const { deployments, incidents } = scopeWindow;
    return { title: $(`${key}-title`).textContent, metric: key, deployments, incidents, when: windowText(scopeWindow) };
  }
  if (key.startsWith("week:")) {
    const number = weeks ? weeks.deployments.findIndex((_, week) => weekKey(weeks, week) === key) : -1;
    if (number < 0) return null;
    const [deployments, incidents] = [weeks.at, weeks.incidents_at].map((at) => [at[number], at[number + 1]]);
    return { title: weekName(weeks, number), metric: "deployment_frequency", deployments, incidents };
  }
  const index = scope.deployments.findIndex(({ id }) => `deployment:${id}` === key);
  if (index < 0) return null;
  const { name } = scope.deployments[index], number = scope.first + index;
  return { title: name, metric: "deployment_frequency", deployments: [number, number + 1], incidents: [0, 0] };
}

function evidenceElements(scope, { metric, deployments: range, incidents, when }) {
  const [itemsOf, buildItem, textOf] = EVIDENCE_LISTS[metric], isLeadTime = metric === "lead_time";
  const deployments = itemsInRange(scope.deployments, scope.first, range), items = itemsOf(deployments);
  const heading = [textOf(items, deployments), when, isLeadTime && items.length > 1 ? LONGEST_FIRST : ""];
  const missing = Math.max(0, Math.min(scope.first, range[1]) - range[0]);
  const isAllMissing = missing > 0 && !deployments.length, kind = isAllMissing ? "" : "older ";
  const nouns = [`${kind}deployment is`, `${kind}deployments are`];
  const older = `${plural(missing, ...nouns)} not on this page${seeLedger("facts/")}.`;
  return [
    ...(isAllMissing ? [] : [element("p", null, heading.filter(Boolean).join(" · "))]),
    ...growingList(items, buildItem),
    ...(isLeadTime ? unlistedNote(deployments) : []),
    ...(missing ? [element("p", null, older)] : []),
    ...(METRICS_WITH_INCIDENTS.includes(metric) ? incidentElements(scope, incidents) : []),
  ];
}

function incidentElements(scope, range) {
  const incidents = newestFirst(itemsInRange(scope.incidents, scope.incidents_first, range));
  const missing = Math.max(0, Math.min(scope.incidents_first, range[1]) - range[0]);
  if (!incidents.length && !missing) return [];
  const missingText = plural(missing, "older incident is", "older incidents are");
  const older = element("p", null, `${missingText} not on this page${seeLedger("facts/")}.`);
  const title = element("h3", null, plural(incidents.length + missing, "incident"));
  return [title, ...growingList(incidents, incidentItem), ...(missing ? [older] : [])];
}

let focusedBefore = null, openKey = "";

/**
 * Give the focus back to what had it before the dialog, or to what took its place. The browser has done so already,
 * unless it could not.
 */
function returnFocus() {
  const hasFocus = document.activeElement !== document.body && !$("evidence").contains(document.activeElement);
  if (hasFocus) return;
  if (focusedBefore?.isConnected) focusedBefore.focus();
  else if (focusedBefore?.dataset.focus) focusByKey(focusedBefore.dataset.focus);
}

/** Show the selected evidence in the dialog, or close the dialog if none is selected. */
function showEvidence(scope, scopeWindow) {
  const dialog = $("evidence"), key = selection().get("show");
  const evidence = key && scope && findEvidence(scope, scopeWindow, key);
  if (!evidence) {
    if (dialog.open) dialog.close();
    return;
  }
  openKey = key;
  $("evidence-title").textContent = evidence.title;
  $("evidence-body").replaceChildren(...evidenceElements(scope, evidence));
  $("evidence-body").scrollTop = 0;
  if (!dialog.open) {
    focusedBefore = document.activeElement;
    dialog.showModal();
  }
  $("evidence-title").focus();
}
