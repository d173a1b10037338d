/* Chooses, draws and folds what is in the page; nothing is computed here but places on the screen. */
(() => {
  "use strict";

  const DAY = 86400, WEEK = 7 * DAY, SHOWN = 50, CHARTED_DAYS = 90;
  const PAGE = JSON.parse(document.getElementById("data").textContent);
  const METRICS = ["deployment_frequency", "lead_time", "change_failure_rate", "recovery_time", "rework_rate"];

  // What every scope has comes without names, and what has its default is left out: core/site/model.py
  const NUMBERS = ["window", "deployments", "incidents", "overall", "cards", "outlook", "beside"];
  const CARD = ["value", "level", "rank", "interval", "n", "before", "verdict", "reason", "details"];
  const WEEKS = ["monday", "since", "partial", "at", "incidents_at", "deployments", "counted", "failed", ...METRICS.slice(1)];
  const named = (names, list) => Object.fromEntries(list.map((value, place) => [names[place], value]));

  for (const one of PAGE.scopes) {
    Object.assign(one, { first: 0, deployments: [], incidents_first: 0, incidents: [], ...one });
    one.weeks &&= named(WEEKS, one.weeks);
    one.windows = one.windows.map((list) => {
      const found = named(NUMBERS, list);
      found.cards = Object.fromEntries(found.cards.map((card, place) => [METRICS[place], named(CARD, card)]));
      return { ...PAGE.windows[found.window], ...found };
    });
    for (const deployment of one.deployments) {
      Object.assign(deployment, { status: "success", counted: true, changes: [], more: 0, ...deployment });
    }
  }
  const $ = (id) => document.getElementById(id);

  // --- Words: those of core/words.py, for what hovers and folds

  const even = (number) => {
    const below = Math.floor(number), rest = number - below;
    return rest === 0.5 ? below + (below % 2) : Math.round(number);
  };

  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    const whole = even(seconds), place = UNITS.findIndex(([, size]) => whole >= size);
    if (place < 0) return "0 s";
    const [unit, size] = UNITS[place];
    if (unit === "min" || unit === "s" || (unit === "d" && whole >= 100 * size)) {
      return even(whole / size) === 60 ? "1 h" : `${even(whole / size)} ${unit}`;
    }
    const [smaller, step] = UNITS[place + 1], all = even(whole / step), count = Math.floor(all / (size / step));
    const rest = all % (size / step);
    if (unit === "h" && count === 24) return "1 d";
    return rest ? `${count} ${unit} ${rest} ${smaller}` : `${count} ${unit}`;
  }

  function percent(ratio) {
    if (ratio === null || ratio === undefined) return "–";
    const share = ratio * 100;
    return `${Number((share % 1 === 0.25 ? share - 0.05 : share).toFixed(1))} %`; // of two as near, the even one
  }

  const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
  const local = new Intl.DateTimeFormat("sv-SE", {
    timeZone: PAGE.zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
  });
  const minute = (seconds) => local.format(new Date(seconds * 1000));
  window.dora = { duration, percent, minute };

  // --- Elements: texts stay texts, whatever is in them

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key === "class") made.className = value;
      else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== false && value !== undefined) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
  }

  const address = (link) => (link ? PAGE.bases[link[0]] + link[1] : "");

  function linked(text, link) {
    const href = address(link);
    if (!/^https?:\/\//i.test(href)) return element("span", { dir: "auto" }, text);
    return element("a", { href, target: "_blank", rel: "noopener noreferrer", dir: "auto" }, text);
  }

  const moment = (seconds) =>
    element("time", { datetime: new Date(seconds * 1000).toISOString() }, minute(seconds));

  // --- What is chosen stands in the address, so that it can be shared

  const NOTHING = "-"; // an address without a choice that names no part of the page, so that nothing scrolls

  function chosen() {
    const found = new URLSearchParams(location.hash.slice(1));
    found.delete(NOTHING);
    return found;
  }

  function choose(changes) {
    const next = chosen();
    for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
    if (next.toString() !== chosen().toString()) location.hash = next.toString() || NOTHING;
  }

  const scope = () => PAGE.scopes.find((one) => one.key === chosen().get("scope")) || PAGE.scopes[0];

  function windowed(one) {
    const wanted = chosen().get("window");
    return one.windows.find((span) => span.key === wanted) || one.windows[0];
  }

  // --- Weeks on the screen: a week is 1 wide, the first begins at 0

  const monday = (weeks, number) => new Date(Date.parse(`${weeks.monday}T00:00:00Z`) + number * WEEK * 1000);
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const dayOf = (date) => `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;

  function weekName(weeks, number) {
    const start = monday(weeks, number), end = new Date(start.getTime() + 6 * DAY * 1000);
    return `${dayOf(start)} – ${dayOf(end)} ${end.getUTCFullYear()}`;
  }

  const isPartial = (weeks, number) =>
    (number === 0 && weeks.partial[0]) || (number === weeks.deployments.length - 1 && weeks.partial[1]);

  /** The weeks that a window is drawn with: its own, and as many before as make it 90 days. */
  function drawn(one, span) {
    const weeks = one.weeks, all = weeks.deployments.length;
    const at = (seconds) => (seconds - weeks.since) / WEEK;
    const end = Math.min(all, Math.ceil(at(span.until)));
    const start = Math.max(0, Math.floor(Math.min(at(span.since), at(span.until) - CHARTED_DAYS / 7)));
    return { start: Math.min(start, Math.max(0, end - 1)), end, since: at(span.since) };
  }

  function placeOf(weeks, number, seconds) {
    let low = 0, high = weeks.at.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (weeks.at[middle] <= number) low = middle; else high = middle - 1;
    }
    const within = (seconds - weeks.since) / WEEK - low;
    return low + Math.min(0.99, Math.max(0.01, within));
  }

  // --- Charts

  const probe = document.createElement("span");
  const color = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };

  function hatched(base) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.fillStyle = base;
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = color("page");
    pen.lineWidth = 2;
    pen.beginPath();
    for (const shift of [-8, 0, 8]) { pen.moveTo(shift - 1, 9); pen.lineTo(shift + 9, -1); }
    pen.stroke();
    return pen.createPattern(tile, "repeat");
  }

  const TIMES = [1, 10, 60, 600, 3600, 6 * 3600, DAY, 3 * DAY, WEEK, 30 * DAY, 90 * DAY, 365 * DAY, 3650 * DAY];

  const durations = () => ({
    type: "logarithmic",
    title: { display: false },
    afterBuildTicks: (axis) => {
      axis.ticks = TIMES.filter((value) => value >= axis.min && value <= axis.max).map((value) => ({ value }));
    },
    ticks: { callback: duration, autoSkip: true, maxTicksLimit: 7 },
  });

  /** Room around durations, up to the next step of the axis. */
  function roomy(values) {
    const least = Math.max(1, Math.min(...values)), most = Math.max(1, ...values);
    return {
      min: [...TIMES].reverse().find((step) => step < least) || 0.9,
      max: TIMES.find((step) => step > most) || most * 2,
    };
  }

  const shares = (most) => ({
    type: "linear", min: 0, max: Math.min(1, Math.max(0.2, Math.ceil(most * 10) / 10)),
    ticks: { callback: percent, maxTicksLimit: 6 },
  });

  function xAxis(weeks, range) {
    const width = range.end - range.start;
    return {
      type: "linear", min: range.start, max: range.end, offset: false, stacked: true,
      grid: { display: false },
      afterBuildTicks: (axis) => { axis.ticks = ticksOf(weeks, range, axis.width / 64); },
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

  /** Weeks, the first ones of months, or of years, with room for so many names. */
  function ticksOf(weeks, range, most) {
    const all = Array.from({ length: range.end - range.start }, (_, place) => range.start + place);
    const begins = (unit) => all.filter((number) => unit(number) !== unit(number - 1));
    const month = (number) => monday(weeks, number).getUTCMonth();
    const year = (number) => monday(weeks, number).getUTCFullYear();
    const fitting = all.length <= 30 ? all : begins(all.length <= 160 ? month : year);
    const apart = all.length / Math.max(2, most);
    const every = (step) => fitting.filter((_, place) => (fitting.length - 1 - place) % step === 0);
    const roomy = (kept) => kept.every((value, place) => place === 0 || value - kept[place - 1] >= apart);
    let step = 1;
    while (!roomy(every(step))) step += 1;
    return every(step).map((value) => ({ value }));
  }

  /** What lies before the window is shaded. */
  const shading = {
    id: "shading",
    beforeDatasetsDraw: (chart, _, options) => {
      const { ctx, chartArea: area, scales: { x } } = chart;
      const end = Math.min(area.right, x.getPixelForValue(options.until));
      if (!(end > area.left + 1)) return;
      ctx.save();
      ctx.fillStyle = options.color;
      ctx.globalAlpha = 0.7;
      ctx.fillRect(area.left, area.top, end - area.left, area.bottom - area.top);
      ctx.restore();
    },
  };

  function marks(one, range, chosenOnes, value, style) {
    const points = [];
    one.deployments.forEach((deployment, place) => {
      const number = one.first + place, x = placeOf(one.weeks, number, deployment.at);
      if (number < one.weeks.at[range.start] || number >= one.weeks.at[range.end]) return;
      const y = chosenOnes(deployment) ? value(deployment) : null;
      if (y !== null && y !== undefined) points.push({ x, y, deployment, number });
    });
    return { type: "scatter", data: points, order: 1, clip: 6, ...style };
  }

  const isLong = (range) => range.end - range.start > 120;

  const dots = (range) => ({
    pointStyle: "circle", radius: isLong(range) ? 1.5 : 2.5, hoverRadius: 5, borderColor: color("mark"), backgroundColor: color("mark"),
  });
  const crosses = (range) => ({
    pointStyle: "crossRot", radius: isLong(range) ? 3 : 5, hoverRadius: 7, borderWidth: 2, borderColor: color("bad"), backgroundColor: color("bad"),
  });

  function line(weeks, range, series) {
    const data = [];
    for (let number = range.start; number < range.end; number += 1) {
      data.push({ x: number + 0.5, y: series[number], week: number });
    }
    const blue = color("accent");
    return {
      type: "line", data, order: 0, borderColor: blue, backgroundColor: blue, borderWidth: 2, spanGaps: false, clip: 8,
      pointRadius: (point) => (isLong(range) && !alone(data, point.dataIndex) ? 0 : 3.5), pointHoverRadius: 6,
      pointBackgroundColor: (point) => (isPartial(weeks, range.start + point.dataIndex) ? color("page") : blue),
    };
  }

  const alone = (data, place) => [place - 1, place + 1].every((other) => !data[other] || data[other].y === null);

  function bars(weeks, range, values, background) {
    const data = [];
    for (let number = range.start; number < range.end; number += 1) {
      data.push({ x: number + 0.5, y: values(number), week: number });
    }
    return { type: "bar", data, order: 2, stack: "all", backgroundColor: background, barPercentage: 0.92, categoryPercentage: 0.84, maxBarThickness: 28 };
  }

  /** The datasets of a metric's chart, its axis, and what stands in its legend. */
  const CHARTS = {
    deployment_frequency: (one, range) => {
      const { weeks } = one, failed = hatched(color("bad"));
      return {
        y: { type: "linear", min: 0, suggestedMax: 4, stacked: true, ticks: { precision: 0, maxTicksLimit: 6 } },
        datasets: [
          bars(weeks, range, (week) => weeks.counted[week] - weeks.failed[week], color("bar")),
          bars(weeks, range, (week) => weeks.failed[week], failed),
        ],
        legend: [["box", color("bar"), "did not fail"], ["box", failed, "failed"]],
      };
    },
    lead_time: (one, range) => {
      const set = [line(one.weeks, range, one.weeks.lead_time), marks(one, range, () => true, (d) => d.lead, dots(range))];
      return { y: durations(), logarithmic: true, datasets: set, legend: [["line", color("accent"), "median of the week"], ["dot", color("mark"), "deployment"]] };
    },
    change_failure_rate: (one, range) => {
      const series = one.weeks.change_failure_rate;
      return {
        y: shares(Math.max(0, ...series.slice(range.start, range.end))),
        datasets: [line(one.weeks, range, series), marks(one, range, (d) => d.failed, () => 0, crosses(range))],
        legend: [["line", color("accent"), "share of the week"], ["cross", color("bad"), "deployment that failed"]],
      };
    },
    recovery_time: (one, range) => ({
      y: durations(), logarithmic: true,
      datasets: [line(one.weeks, range, one.weeks.recovery_time), marks(one, range, (d) => d.failed, (d) => d.failed.seconds, crosses(range))],
      legend: [["line", color("accent"), "median of the week"], ["cross", color("bad"), "deployment that failed"]],
    }),
    rework_rate: (one, range) => {
      const series = one.weeks.rework_rate;
      return {
        y: shares(Math.max(0, ...series.slice(range.start, range.end))),
        datasets: [line(one.weeks, range, series), marks(one, range, (d) => d.rework, () => 0, { ...dots(range), radius: 4, backgroundColor: color("warn"), borderColor: color("warn") })],
        legend: [["line", color("accent"), "share of the week"], ["dot", color("warn"), "repair"]],
      };
    },
  };

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
    if (metric === "deployment_frequency" || metric === "change_failure_rate") {
      lines.push(`${weeks.failed[week]} of ${weeks.counted[week]} failed`);
    } else if (metric === "rework_rate") lines.push(`of ${plural(weeks.counted[week], "deployment")}`);
    if (isPartial(weeks, week)) lines.push("not a whole week");
    return lines;
  }

  function hover(metric, one) {
    return {
      title: ([item]) => (item.raw.deployment ? item.raw.deployment.name : weekName(one.weeks, item.raw.week)),
      label: ({ raw }) => {
        if (!raw.deployment) return weekLines(metric, one.weeks, raw.week);
        const { deployment: d } = raw, lines = [minute(d.at)];
        if (metric === "lead_time") lines.push(`${plural(d.changes.length + d.more, "change")}, median ${duration(d.lead)}`);
        else if (d.failed && metric !== "rework_rate") lines.push(`${d.failed.rule}: ${ended(d.failed)}`);
        else if (d.rework) lines.push(d.rework);
        return lines;
      },
    };
  }

  const ended = (failed) => {
    if (failed.seconds !== undefined && failed.seconds !== null) return `over after ${duration(failed.seconds)}`;
    return failed.by ? "its recorded end lies before it" : "still open";
  };

  const charts = new Map();

  function draw(metric, one, span) {
    const section = $(metric), canvas = section.querySelector(".canvas canvas"), nothing = section.querySelector(".nothing");
    charts.get(metric)?.destroy();
    charts.delete(metric);
    const weeks = one.weeks, range = weeks && drawn(one, span);
    const values = weeks ? weeks[SERIES[metric][0]].slice(range.start, range.end) : [];
    const missing = !values.some((value) => value !== null) || (metric === "deployment_frequency" && !weeks.counted.slice(range.start, range.end).some(Boolean));
    nothing.hidden = !missing;
    canvas.hidden = missing;
    section.querySelector(".table").hidden = !weeks;
    section.querySelector(".legend").replaceChildren();
    if (weeks) table(section, metric, one, range);
    if (missing) {
      nothing.textContent = `No data${span.cards[metric].reason ? `: ${span.cards[metric].reason}` : ""}`;
      return;
    }
    const made = CHARTS[metric](one, range);
    canvas.setAttribute("aria-label", spoken(metric, weeks, range));
    if (range.since > range.start) made.legend.push(["box", color("grid"), "before the window"]);
    made.legend.forEach(([kind, paint, text]) => section.querySelector(".legend").append(key(kind, paint, text)));
    if (made.logarithmic) Object.assign(made.y, roomy(made.datasets.flatMap(({ data }) => data.map(({ y }) => y)).filter((y) => y !== null)));
    made.datasets.forEach((set) => { if (made.logarithmic) set.data.forEach((point) => { if (point.y === 0) point.y = 1; }); });
    charts.set(metric, new Chart(canvas, {
      data: { datasets: made.datasets },
      plugins: [shading],
      options: {
        animation: false, responsive: true, layout: { padding: { right: 12 } }, maintainAspectRatio: false, normalized: true,
        interaction: { mode: "nearest", intersect: false, axis: "xy" },
        onClick: (_, [hit]) => {
          if (!hit) return;
          const { raw } = { raw: made.datasets[hit.datasetIndex].data[hit.index] };
          choose({ show: raw.deployment ? `deployment:${raw.number}` : `week:${raw.week}` });
        },
        plugins: {
          legend: { display: false },
          shading: { until: range.since, color: color("grid") },
          tooltip: {
            callbacks: hover(metric, one), displayColors: false, backgroundColor: color("text"), titleColor: color("page"),
            bodyColor: color("page"), padding: 10, cornerRadius: 6,
          },
        },
        scales: {
          x: axis(xAxis(weeks, range)),
          y: axis(made.y),
        },
      },
    }));
  }

  const axis = (own) => ({
    grid: { color: color("grid"), drawTicks: false },
    border: { display: false },
    afterFit: (made) => { if (made.axis === "y") made.width = 58; }, // so that all charts begin at one line
    ...own,
    ticks: { color: color("muted"), padding: 6, font: { size: 12 }, ...own.ticks },
  });

  function key(kind, paint, text) {
    const canvas = element("canvas", { width: 36, height: 24 }), pen = canvas.getContext("2d");
    pen.scale(2, 2);
    pen.fillStyle = pen.strokeStyle = paint;
    pen.lineWidth = 2;
    pen.beginPath();
    if (kind === "box") pen.fillRect(2, 0, 14, 12);
    else if (kind === "dot") { pen.arc(9, 6, 3, 0, 7); pen.fill(); }
    else if (kind === "line") { pen.moveTo(0, 6); pen.lineTo(18, 6); pen.stroke(); }
    else { for (const side of [-1, 1]) { pen.moveTo(5, 6 - 4 * side); pen.lineTo(13, 6 + 4 * side); } pen.stroke(); }
    return element("span", null, canvas, text);
  }

  /** What a chart shows, for those who do not see it. */
  function spoken(metric, weeks, range) {
    const [name, words] = SERIES[metric], known = [];
    for (let week = range.start; week < range.end; week += 1) if (weeks[name][week] !== null) known.push(week);
    const said = known.length ? `from ${words(weeks[name][known[0]])} to ${words(weeks[name][known.at(-1)])}` : "";
    return `Chart of ${plural(range.end - range.start, "week")}, ${plural(known.length, "of them with a value", "of them with values")}: ${said}. The same is in the table below.`;
  }

  const COLUMNS = [
    ["Deployments", (weeks, week) => weeks.deployments[week]],
    ["Failed", (weeks, week) => `${weeks.failed[week]} of ${weeks.counted[week]}`],
    ["Failure rate", (weeks, week) => percent(weeks.change_failure_rate[week])],
    ["Lead time", (weeks, week) => duration(weeks.lead_time[week])],
    ["Recovery", (weeks, week) => duration(weeks.recovery_time[week])],
    ["Rework", (weeks, week) => percent(weeks.rework_rate[week])],
  ];
  const TABLES = {
    deployment_frequency: [0, 1], lead_time: [0, 3], change_failure_rate: [1, 2], recovery_time: [1, 4], rework_rate: [0, 5],
  };

  /** Filled when it is opened: five years have many rows. */
  function table(section, metric, one, range) {
    const details = section.querySelector(".table"), place = section.querySelector(".scroll"), { weeks } = one;
    const fill = () => {
      if (!details.open) return;
      const columns = TABLES[metric].map((number) => COLUMNS[number]), rows = [];
      for (let week = range.end - 1; week >= range.start; week -= 1) {
        const open = element("button", { type: "button", class: "plain", onclick: () => choose({ show: `week:${week}` }) }, weekName(weeks, week));
        const name = element("th", { scope: "row" }, open, isPartial(weeks, week) ? " (not whole)" : "");
        rows.push(element("tr", null, name, ...columns.map(([, cell]) => element("td", null, String(cell(weeks, week))))));
      }
      const head = ["Week", ...columns.map(([title]) => title)].map((title) => element("th", { scope: "col" }, title));
      place.replaceChildren(element("table", null, element("thead", null, element("tr", null, ...head)), element("tbody", null, ...rows)));
    };
    details.ontoggle = fill;
    fill();
  }

  // --- The five numbers

  function card(metric, span) {
    const one = span.cards[metric], title = $(`${metric}-title`).textContent, known = !one.reason;
    const value = known
      ? element("button", { type: "button", class: "value", "aria-label": `${title}: ${one.value}; show what it was made from`, onclick: () => choose({ show: metric }) }, one.value)
      : element("p", { class: "value none" }, "no data");
    const change = one.before && known && one.verdict
      ? element("p", { class: "quietly wide" }, `${one.before} ${span.before} · `, element("span", { class: `verdict ${one.verdict}` }, one.verdict))
      : element("p", { class: "quietly wide" }, one.before && one.before !== "–" ? `${one.before} ${span.before}` : "");
    return element("li", { class: "card" },
      element("h2", null, element("a", { href: `#${metric}`, onclick: jump }, title)),
      value,
      one.level ? element("p", { class: `level r${one.rank}` }, one.level) : null,
      one.interval ? element("p", { class: "quietly wide" }, `95 % interval ${one.interval}`) : null,
      element("p", { class: "quietly wide" }, known ? one.n : one.reason),
      change);
  }

  /** To a part of the page, without a change of what is chosen. */
  function jump(event) {
    event.preventDefault();
    const target = $(event.currentTarget.getAttribute("href").slice(1));
    target.scrollIntoView();
    target.querySelector("button, summary")?.focus({ preventScroll: true });
  }

  function listed(place, pairs) {
    place.replaceChildren(...pairs.flatMap(([term, text]) => {
      const long = text.length > 24;
      return [element("dt", { class: long ? "long" : "" }, term), element("dd", { class: long ? "long" : "" }, text)];
    }));
  }

  function overall(text) {
    const [, level, why] = /^([^,]*)(.*)$/.exec(text || "");
    return level ? ["Overall ", element("strong", null, level), `${why}.`] : [];
  }

  function outlook(told) {
    const parts = told.flatMap(([title, points]) =>
      [element("h3", null, title), element("ul", null, ...points.map((point) => element("li", null, point)))]);
    const summary = element("summary", null, "What holds it back, and what is known to help");
    $("outlook").replaceChildren(...(parts.length ? [element("details", null, summary, ...parts)] : []));
  }

  function numbers(one, span) {
    const fewer = one.windows.length < PAGE.windows.length;
    $("span").textContent = `${span.span} ${PAGE.zone}${fewer ? "; other windows are here for the scopes deployed last" : ""}`;
    $("overall").replaceChildren(...overall(span.overall));
    $("cards").replaceChildren(...METRICS.map((metric) => card(metric, span)));
    for (const metric of METRICS) listed($(metric).querySelector(".details"), span.cards[metric].details || []);
    $("beside").hidden = !(span.beside || []).length;
    listed($("beside").querySelector(".details"), span.beside || []);
    outlook(span.outlook || []);
  }

  // --- What a number was made from

  const within = (list, first, [from, to]) => list.slice(Math.max(0, from - first), Math.max(0, to - first));
  const newest = (list) => [...list].reverse();

  const STATUS = { failure: ["did not reach users", "off"], cancelled: ["cancelled", "off"] };

  function changeLine([name, title, link, worth]) {
    return element("li", null, element("span", { class: "number" }, linked(name, link)),
      element("span", { class: "title", dir: "auto" }, title),
      element("span", { class: "lead" }, typeof worth === "number" ? duration(worth) : worth));
  }

  function deploymentLine(one) {
    const status = one.counted ? null : STATUS[one.status];
    return element("li", null,
      element("div", { class: "line" }, element("span", { class: "what" }, linked(one.name, one.link)),
        one.failed ? element("span", { class: "chip bad" }, "failed") : null,
        status ? element("span", { class: `chip ${status[1]}` }, status[0]) : null,
        one.rework ? element("span", { class: "chip warn" }, "repair") : null,
        moment(one.at)),
      one.failed ? element("p", { class: "why" }, "Failed by ", element("code", null, one.failed.rule), ": ",
        linked(one.failed.because, one.failed.link), `; ${ended(one.failed)}`, one.failed.by ? ` (${one.failed.by})` : "", ".") : null,
      one.rework ? element("p", { class: "why" }, `A repair: ${one.rework}.`) : null,
      one.changes.length ? element("ul", { class: "changes" }, ...one.changes.map(changeLine)) : null,
      one.more ? element("p", { class: "quietly" }, `and ${plural(one.more, "more change")}`) : null);
  }

  function incidentLine(one) {
    return element("li", null,
      element("div", { class: "line" }, element("span", { class: "what" }, linked(one.title, one.link)),
        one.severity ? element("span", { class: "chip off" }, one.severity) : null, moment(one.at)),
      element("p", { class: "why" }, one.seconds === undefined || one.seconds === null ? "Still open" : `Resolved after ${duration(one.seconds)}`,
        one.blamed ? `; blamed on ${one.blamed}: ${one.because}.` : `; blamed on no deployment: ${one.because}.`));
  }

  function leadLine({ deployment, change }) {
    return element("li", null, element("div", { class: "line" },
      element("span", { class: "what" }, linked(change[0], change[2])), element("span", { class: "title", dir: "auto" }, change[1]),
      element("span", null, typeof change[3] === "number" ? duration(change[3]) : change[3])),
      element("p", { class: "quietly" }, "with ", linked(deployment.name, deployment.link), `, ${minute(deployment.at)}`));
  }

  /** A list, some of it at first. */
  function list(items, draws) {
    const place = element("ul", { class: "evidence" }), more = element("button", { type: "button", class: "quiet more" });
    let shown = 0;
    const grow = () => {
      const next = items.slice(shown, shown + SHOWN).map(draws), focused = shown ? next[0] : null;
      place.append(...next);
      shown += next.length;
      more.textContent = `Show ${Math.min(SHOWN, items.length - shown)} more of ${(items.length - shown).toLocaleString("en-US")}`;
      more.hidden = shown >= items.length;
      focused?.querySelector("a, button")?.focus();
    };
    more.addEventListener("click", grow);
    grow();
    return [place, more];
  }

  const LISTS = {
    deployment_frequency: (d) => [newest(d), deploymentLine, "deployment"],
    lead_time: (d) => [
      d.flatMap((deployment) => deployment.changes.map((change) => ({ deployment, change })))
        .sort((a, b) => (typeof b.change[3] === "number" ? b.change[3] : -1) - (typeof a.change[3] === "number" ? a.change[3] : -1)),
      leadLine, "change", "the longest first"],
    change_failure_rate: (d) => [newest(d.filter((one) => one.failed)), deploymentLine, "failed deployment"],
    recovery_time: (d) => [newest(d.filter((one) => one.failed)), deploymentLine, "failed deployment"],
    rework_rate: (d) => [newest(d.filter((one) => one.rework)), deploymentLine, "repair"],
  };

  function evidenceOf(one, span, show) {
    const [kind, number] = show.split(":"), { weeks } = one;
    if (METRICS.includes(kind)) return { title: $(`${kind}-title`).textContent, metric: kind, span: span.deployments, incidents: span.incidents, when: spoke(span) };
    if (kind === "week" && weeks && weeks.at[Number(number) + 1] !== undefined) {
      const week = Number(number);
      return { title: weekName(weeks, week), metric: "deployment_frequency", span: [weeks.at[week], weeks.at[week + 1]], incidents: [weeks.incidents_at[week], weeks.incidents_at[week + 1]] };
    }
    const found = kind === "deployment" && one.deployments[Number(number) - one.first];
    return found ? { title: found.name, metric: "deployment_frequency", span: [Number(number), Number(number) + 1], incidents: [0, 0] } : null;
  }

  function fold(one, asked) {
    const { first } = one, here = within(one.deployments, first, asked.span);
    const [items, draws, what, order] = LISTS[asked.metric](here), body = [];
    const absent = Math.max(0, Math.min(first, asked.span[1]) - asked.span[0]);
    const out = items.filter(({ change }) => change && typeof change[3] !== "number").length, many = items.length - out;
    const counted = `${many ? plural(many, what) : `No ${what}`}${out ? `, ${out} left out` : ""}`;
    body.push(element("p", null, `${counted}${asked.when ? ` · ${asked.when}` : ""}${many > 1 && order ? ` · ${order}` : ""}`));
    body.push(...list(items, draws));
    if (absent) body.push(element("p", null, `${plural(absent, "older deployment is", "older deployments are")} not in this page, but in facts/ beside it.`));
    const incidents = newest(within(one.incidents, one.incidents_first, asked.incidents));
    const lost = Math.max(0, Math.min(one.incidents_first, asked.incidents[1]) - asked.incidents[0]);
    if (asked.metric !== "lead_time" && asked.metric !== "rework_rate" && incidents.length + lost) {
      body.push(element("h3", null, plural(incidents.length + lost, "incident")), ...list(incidents, incidentLine));
      if (lost) body.push(element("p", null, `${plural(lost, "older one is", "older ones are")} in facts/.`));
    }
    return body;
  }

  let back = null;

  function showEvidence(one, span) {
    const dialog = $("evidence"), show = chosen().get("show"), asked = show && evidenceOf(one, span, show);
    if (!asked) {
      if (dialog.open) dialog.close();
      return;
    }
    $("evidence-title").textContent = asked.title;
    $("evidence-body").replaceChildren(...fold(one, asked));
    $("evidence-body").scrollTop = 0;
    if (!dialog.open) {
      back = document.activeElement;
      dialog.showModal();
    }
    $("evidence-title").focus();
  }

  // --- Choices

  const spoke = (span) => (span.label === "all" ? "all time" : span.label);

  function options(filter) {
    const wanted = filter.trim().toLowerCase(), current = scope();
    const fitting = PAGE.scopes.filter((one) => one === current || one.name.toLowerCase().includes(wanted));
    $("scope").replaceChildren(...fitting.map((one) => element("option", { value: one.key, selected: one === current }, one.name)));
  }

  function windows(one, span) {
    $("windows").replaceChildren(...one.windows.map((each, place) => element("span", null,
      element("input", { type: "radio", name: "window", id: `window-${place}`, value: each.key, checked: each === span, onchange: () => choose({ window: each.key }) }),
      element("label", { for: `window-${place}` }, spoke(each)))));
  }

  const THEMES = { "": "as the system", light: "light", dark: "dark" };

  function theme() {
    const wanted = chosen().get("theme") || "", root = document.documentElement;
    const changed = (root.dataset.theme || "") !== wanted;
    if (wanted && Object.hasOwn(THEMES, wanted)) root.dataset.theme = wanted; else delete root.dataset.theme;
    $("theme").querySelector("span").textContent = THEMES[wanted] || THEMES[""];
    return changed;
  }

  let before = "";

  function render(force) {
    const repainted = theme(), one = scope(), span = windowed(one), now = `${one.key}\n${span.key}`;
    if (force === true || repainted || now !== before) {
      const focused = document.activeElement?.name === "window";
      $("scope").value = one.key;
      $("home").hidden = !one.link;
      $("home").href = address(one.link);
      windows(one, span);
      if (focused) $("windows").querySelector(":checked")?.focus();
      numbers(one, span);
      METRICS.forEach((metric) => draw(metric, one, span));
      if (before && now !== before) $("told").textContent = `${one.name}, ${spoke(span)}: ${METRICS.map((metric) => `${$(`${metric}-title`).textContent} ${span.cards[metric].reason ? "no data" : span.cards[metric].value}`).join("; ")}`;
      before = now;
    }
    showEvidence(one, span);
  }

  function start() {
    document.body.append(element("div", { class: "hidden", "aria-hidden": "true" }, probe));
    Object.assign(Chart.defaults.font, { family: getComputedStyle(document.body).fontFamily });
    $("main").hidden = false;
    $("scope-choice").hidden = PAGE.scopes.length < 2;
    $("filter").hidden = PAGE.scopes.length <= 12;
    options("");
    $("filter").addEventListener("input", (event) => options(event.target.value));
    $("choice").addEventListener("submit", (event) => event.preventDefault());
    $("scope").addEventListener("change", (event) => choose({ scope: event.target.value, show: "" }));
    $("close").addEventListener("click", () => $("evidence").close());
    $("evidence").addEventListener("close", () => { choose({ show: "" }); back?.focus?.(); });
    $("evidence").addEventListener("click", (event) => { if (event.target === $("evidence")) $("evidence").close(); });
    addEventListener("hashchange", render);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render(true));
    render(true);
  }

  $("theme").hidden = false;
  $("theme").addEventListener("click", () => {
    const names = Object.keys(THEMES);
    choose({ theme: names[(names.indexOf(chosen().get("theme") || "") + 1) % names.length] });
  });
  $("skip").addEventListener("click", (event) => { event.preventDefault(); $("now").focus(); $("now").scrollIntoView(); });
  if (PAGE.scopes.length) start();
  else { theme(); addEventListener("hashchange", theme); }
})();
