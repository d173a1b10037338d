/* The five numbers, and what there is to say beside them. */

function card(metric, span) {
  const one = span.cards[metric], title = $(`${metric}-title`).textContent, known = !one.reason;
  return element("li", { class: "card" },
    element("h2", null, element("a", { href: `#${metric}`, onclick: jump }, title)),
    known ? opening(metric, title, one.value) : element("p", { class: "value none" }, "no data"),
    one.level ? element("p", { class: `level r${one.rank}` }, one.level) : null,
    one.interval ? element("p", { class: "quietly wide" }, tied(`95 % interval ${one.interval}`)) : null,
    element("p", { class: "quietly wide" }, known ? one.n : one.reason),
    compared(one, span));
}

function opening(metric, title, value) {
  return element("button", {
    type: "button", class: "value", onclick: () => choose({ show: metric }),
    "aria-label": `${title}: ${value}; show what it was made from`,
  }, value);
}

function compared(one, span) {
  if (!one.before || one.before === "–") return null;
  const verdict = one.verdict ? [" · ", element("span", { class: `verdict ${one.verdict}` }, one.verdict)] : [];
  return element("p", { class: "quietly wide" }, tied(`${one.before} ${span.before}`), ...verdict);
}

/** To a part of the page, without a change of what is chosen. */
function jump(event) {
  event.preventDefault();
  const target = $(event.currentTarget.getAttribute("href").slice(1));
  target.scrollIntoView();
  target.querySelector("summary")?.focus({ preventScroll: true });
}

function listed(place, pairs) {
  place.replaceChildren(...pairs.flatMap(([term, text]) => {
    const long = { class: text.length > 24 ? "long" : "" };
    return [element("dt", long, term), element("dd", long, text)];
  }));
}

function overall(text) {
  const [, level, why] = /^([^,]*)(.*)$/.exec(text);
  return level ? ["Overall ", element("strong", null, level), `${why}.`] : [];
}

function outlook(told) {
  const parts = told.flatMap(([title, said]) =>
    [element("h3", null, title), element("ul", null, ...said.map((one) => element("li", null, one)))]);
  const summary = element("summary", null, "What holds it back, and what is known to help");
  $("outlook").replaceChildren(...(parts.length ? [element("details", null, summary, ...parts)] : []));
}

function numbers(one, span) {
  const others = one.brief ? "; other windows are here for the scopes that were deployed last" : "";
  $("span").textContent = `${span.span} ${PAGE.zone}${others}`;
  $("overall").replaceChildren(...overall(span.overall));
  $("cards").replaceChildren(...METRICS.map((metric) => card(metric, span)));
  for (const metric of METRICS) listed($(metric).querySelector(".details"), span.cards[metric].details);
  $("beside").hidden = !span.beside.length;
  listed($("beside").querySelector(".details"), span.beside);
  outlook(span.outlook);
}
