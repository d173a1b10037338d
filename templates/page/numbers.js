/* The cards of the five metrics, their details, the outlook and the security numbers. */

function cardElement(metric, scopeWindow) {
  const card = scopeWindow.cards[metric], title = $(`${metric}-title`).textContent, hasValue = !card.reason;
  return element("li", { class: "card" },
    element("h2", null, element("a", { href: `#${metric}`, onclick: scrollToTarget }, title)),
    hasValue ? evidenceButton(metric, title, card.value) : element("p", { class: "value none" }, "no data"),
    card.level ? element("p", { class: `level ${rankClass(card)}` }, card.level) : null,
    card.interval ? element("p", { class: "quietly wide" }, keepUnitsTogether(`95 % interval ${card.interval}`)) : null,
    element("p", { class: "quietly wide" }, hasValue ? card.n : card.reason),
    comparisonElement(card, scopeWindow),
    hasValue ? copyButton(title, `card:${metric}`, () => cardImage(metric)) : null);
}

/** The class of a level's colour; a level that may be another has none. */
const rankClass = ({ rank }) => (rank === null ? "open" : `r${rank}`);

function evidenceButton(metric, title, value) {
  return element("button", {
    type: "button", class: "value", "data-focus": `number:${metric}`, onclick: () => select({ show: metric }),
    "aria-label": `${title}: ${value}; show the evidence`,
  }, value);
}

function comparisonElement(card, scopeWindow) {
  if (!card.before || card.before === "–") return null;
  const verdict = card.verdict ? [" · ", element("span", { class: `verdict ${card.verdict}` }, card.verdict)] : [];
  return element("p", { class: "quietly wide" }, keepUnitsTogether(`${card.before} ${scopeWindow.before}`), ...verdict);
}

/** Scroll to the target of a link inside the page, without changing the hash, which holds the selection. */
function scrollToTarget(event) {
  event.preventDefault();
  const target = $(event.currentTarget.getAttribute("href").slice(1));
  target.scrollIntoView();
  target.querySelector("summary")?.focus({ preventScroll: true });
}

function fillDetails(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([term, text]) => {
    const attributes = { class: text.length > 24 ? "long" : "" };
    return [element("dt", attributes, term), element("dd", attributes, text)];
  }));
}

function overallLevel(text) {
  const [, level, rest] = /^([^,(]*?)(\s*[,(].*)?$/.exec(text);
  return level ? ["Overall ", element("strong", null, level), `${rest || ""}.`] : [];
}

function showOutlook(sections) {
  const parts = sections.flatMap(([title, sentences]) => [
    element("h3", null, ...withCode(title)),
    element("ul", null, ...sentences.map((sentence) => element("li", null, ...withCode(sentence)))),
  ]);
  const summary = element("summary", null, "What to improve");
  $("outlook").replaceChildren(...(parts.length ? [element("details", null, summary, ...parts)] : []));
}

function showNumbers(scope, scopeWindow) {
  const others = scope.brief ? ". Other windows and the stages of lead time are left out for this scope" : "";
  $("span").textContent = `${scopeWindow.span} ${PAGE.zone}${others}`;
  $("overall").replaceChildren(...overallLevel(scopeWindow.overall));
  $("cards").replaceChildren(...METRICS.map((metric) => cardElement(metric, scopeWindow)));
  for (const metric of METRICS) fillDetails($(metric).querySelector(".details"), scopeWindow.cards[metric].details);
  $("security").hidden = !scopeWindow.security.length;
  fillDetails($("security").querySelector(".details"), scopeWindow.security);
  showOutlook(scopeWindow.outlook);
}
