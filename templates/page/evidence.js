/* What a number was made from: deployments with their changes, failures and incidents. */

const SHOWN = 50;
const STATUS = { failure: "did not reach users", cancelled: "cancelled" };

const within = (list, first, [from, to]) => list.slice(Math.max(0, from - first), Math.max(0, to - first));
const newest = (list) => [...list].reverse();
const isMeasured = ({ change }) => typeof change[3] === "number";
const worth = (value) => (typeof value === "number" ? duration(value) : value);

function ended(failed) {
  if (failed.seconds !== undefined) return `over after ${duration(failed.seconds)}`;
  return failed.by ? "its recorded end lies before it" : "still open";
}

const chip = (kind, text) => element("span", { class: `chip ${kind}` }, text);
const headline = (what, ...rest) =>
  element("div", { class: "line" }, element("span", { class: "what" }, what), ...rest);

function failure(failed) {
  return element("p", { class: "why" }, "Failed by ", element("code", null, failed.rule), ": ",
    linked(failed.because, failed.link), `; ${ended(failed)}${failed.by ? ` (${failed.by})` : ""}.`);
}

function changeLine([name, title, link, value]) {
  return element("li", null,
    element("span", { class: "number" }, linked(name, link)),
    element("span", { class: "title", dir: "auto" }, title),
    element("span", { class: "lead" }, worth(value)));
}

const unlisted = ({ more, more_excluded }) => more + more_excluded;

function deploymentLine(one) {
  return element("li", null,
    headline(linked(one.name, one.link),
      one.failed ? chip("bad", "failed") : null,
      one.counted ? null : chip("off", STATUS[one.status]),
      one.rework ? chip("warn", "repair") : null,
      moment(one.at)),
    one.failed ? failure(one.failed) : null,
    one.rework ? element("p", { class: "why" }, `A repair: ${one.rework}.`) : null,
    one.changes.length ? element("ul", { class: "changes" }, ...one.changes.map(changeLine)) : null,
    unlisted(one) ? element("p", { class: "quietly" }, `and ${plural(unlisted(one), "more change")}`) : null);
}

function incidentLine(one) {
  const state = one.seconds === undefined ? "Still open" : `Resolved after ${duration(one.seconds)}`;
  return element("li", null,
    headline(linked(one.title, one.link), one.severity ? chip("off", one.severity) : null, moment(one.at)),
    element("p", { class: "why" }, `${state}; blamed on ${one.blamed || "no deployment"}: ${one.because}.`));
}

function leadLine({ deployment, change: [name, title, link, value] }) {
  return element("li", null,
    headline(linked(name, link), element("span", { class: "title", dir: "auto" }, title),
      element("span", null, worth(value))),
    element("p", { class: "quietly" },
      "with ", linked(deployment.name, deployment.link), `, ${minute(deployment.at)}`));
}

/** A list, some of it at first. */
function list(items, draws) {
  const place = element("ul", { class: "evidence" }), more = element("button", { type: "button", class: "quiet more" });
  let shown = 0;
  const grow = () => {
    const next = items.slice(shown, shown + SHOWN).map(draws), focused = shown ? next[0] : null;
    place.append(...next);
    shown += next.length;
    const left = items.length - shown;
    more.textContent = `Show ${Math.min(SHOWN, left)} more of ${left.toLocaleString("en-US")}`;
    more.hidden = !left;
    focused?.querySelector("a, button")?.focus();
  };
  more.addEventListener("click", grow);
  grow();
  return [place, more];
}

const failed = (deployments) => newest(deployments.filter((one) => one.failed));

function changesOf(deployments) {
  const all = deployments.flatMap((deployment) => deployment.changes.map((change) => ({ deployment, change })));
  const seconds = (one) => (isMeasured(one) ? one.change[3] : -1);
  return all.sort((one, other) => seconds(other) - seconds(one));
}

const sum = (list, value) => list.reduce((total, one) => total + value(one), 0);
const many = (what) => ({ length }) => (length ? plural(length, what) : `No ${what}`);

/** Successes are what is counted; other attempts are listed with them, and told apart. */
function attempts(deployments) {
  const good = deployments.filter(({ status }) => status === "success").length, others = deployments.length - good;
  const rest = `${plural(others, "attempt")} that did not succeed`;
  return !others ? many("deployment")({ length: good }) : good ? `${plural(good, "deployment")}; ${rest}` : rest;
}

function delivered(items, deployments) {
  const here = items.filter(isMeasured).length, all = here + sum(deployments, ({ more }) => more);
  const out = items.length - here + sum(deployments, ({ more_excluded }) => more_excluded);
  const some = `${here.toLocaleString("en-US")} of ${plural(all, "change")}`;
  const said = here < all ? some : many("change")({ length: all });
  return `${said}${out ? `, ${out.toLocaleString("en-US")} left out` : ""}`;
}

/** What of the changes is not listed, since a deployment had very many. */
function restOf(deployments) {
  const absent = sum(deployments, unlisted), full = deployments.filter(unlisted).length;
  if (!absent) return [];
  const whose = `of ${plural(full, "deployment")} with very many, whose slowest are here`;
  return [element("p", null, `${absent.toLocaleString("en-US")} more, ${whose}, are in facts/ beside this page.`)];
}

const LONGEST = "the longest first";

/** For each metric: what is listed, how, and how many there are. */
const LISTS = {
  deployment_frequency: [newest, deploymentLine, attempts],
  lead_time: [changesOf, leadLine, delivered],
  change_failure_rate: [failed, deploymentLine, many("failed deployment")],
  recovery_time: [failed, deploymentLine, many("failed deployment")],
  rework_rate: [(all) => newest(all.filter((one) => one.rework)), deploymentLine, many("repair")],
};
const WITH_INCIDENTS = ["deployment_frequency", "change_failure_rate", "recovery_time"];

/** What is asked for: a metric of the window, a week, or a deployment; nothing where there is no such thing. */
function askedFor(one, span, show) {
  const { weeks } = one;
  if (METRICS.includes(show)) {
    const { deployments, incidents } = span;
    return { title: $(`${show}-title`).textContent, metric: show, deployments, incidents, when: spoke(span) };
  }
  if (show.startsWith("week:")) {
    const number = weeks ? weeks.deployments.findIndex((_, place) => weekKey(weeks, place) === show) : -1;
    if (number < 0) return null;
    const [deployments, incidents] = [weeks.at, weeks.incidents_at].map((at) => [at[number], at[number + 1]]);
    return { title: weekName(weeks, number), metric: "deployment_frequency", deployments, incidents };
  }
  const place = one.deployments.findIndex(({ id }) => `deployment:${id}` === show);
  if (place < 0) return null;
  const found = one.deployments[place], number = one.first + place;
  return { title: found.name, metric: "deployment_frequency", deployments: [number, number + 1], incidents: [0, 0] };
}

function folded(one, asked) {
  const [chosenOnes, draws, counted] = LISTS[asked.metric];
  const here = within(one.deployments, one.first, asked.deployments), items = chosenOnes(here);
  const said = [counted(items, here), asked.when, asked.metric === "lead_time" && items.length > 1 ? LONGEST : ""];
  const absent = Math.max(0, Math.min(one.first, asked.deployments[1]) - asked.deployments[0]);
  const older = `${plural(absent, "older deployment is", "older deployments are")} not in this page, but in facts/`;
  return [
    element("p", null, said.filter(Boolean).join(" · ")),
    ...list(items, draws),
    ...(asked.metric === "lead_time" ? restOf(here) : []),
    ...(absent ? [element("p", null, `${older} beside it.`)] : []),
    ...(WITH_INCIDENTS.includes(asked.metric) ? incidentsOf(one, asked.incidents) : []),
  ];
}

function incidentsOf(one, span) {
  const here = newest(within(one.incidents, one.incidents_first, span));
  const absent = Math.max(0, Math.min(one.incidents_first, span[1]) - span[0]);
  if (!here.length && !absent) return [];
  const older = element("p", null, `${plural(absent, "older one is", "older ones are")} in facts/ beside this page.`);
  const title = element("h3", null, plural(here.length + absent, "incident"));
  return [title, ...list(here, incidentLine), ...(absent ? [older] : [])];
}

let back = null, open = "";

function showEvidence(one, span) {
  const dialog = $("evidence"), show = chosen().get("show"), asked = show && askedFor(one, span, show);
  if (!asked) {
    if (dialog.open) dialog.close();
    return;
  }
  open = show;
  $("evidence-title").textContent = asked.title;
  $("evidence-body").replaceChildren(...folded(one, asked));
  $("evidence-body").scrollTop = 0;
  if (!dialog.open) {
    back = document.activeElement;
    dialog.showModal();
  }
  $("evidence-title").focus();
}
