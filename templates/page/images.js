/* A card or a chart as a PNG image on the clipboard; where the browser does not allow that, as a downloaded file. */

const IMAGE_SCALE = 2, IMAGE_PADDING = 20, MESSAGE_MILLISECONDS = 2500;

/** Break a text into lines that are at most `width` wide in the font of the context. */
function textLines(context, text, width) {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (context.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.filter(Boolean);
}

const textStyle = (text, size, { weight = 400, fill = color("text") } = {}) => ({ text, size, weight, fill });
const quietText = (text, size = 12) => textStyle(text, size, { fill: color("muted") });

/** Draw the entries of a legend in lines. Returns the height of the lines. */
function drawLegend(context, entries, top, width) {
  let x = IMAGE_PADDING, y = top;
  context.font = `12px ${Chart.defaults.font.family}`;
  context.fillStyle = color("muted");
  for (const entry of entries) {
    const entryWidth = 40 + context.measureText(entry.textContent).width;
    if (x > IMAGE_PADDING && x + entryWidth > width - IMAGE_PADDING) [x, y] = [IMAGE_PADDING, y + 18];
    context.drawImage(entry.querySelector("canvas"), x, y, 18, 12);
    context.fillText(entry.textContent, x + 24, y + 10);
    x += entryWidth;
  }
  return y + 20 - top;
}

/** Draw texts, one below the other, and below them the legend and the picture of a chart. Returns the height. */
function drawParts(context, texts, chart, width) {
  let y = IMAGE_PADDING;
  for (const { text, size, weight, fill } of texts) {
    context.font = `${weight} ${size}px ${Chart.defaults.font.family}`;
    context.fillStyle = fill;
    for (const line of textLines(context, text, width - 2 * IMAGE_PADDING)) {
      context.fillText(line, IMAGE_PADDING, y + size);
      y += Math.round(size * 1.4);
    }
    y += 4;
  }
  if (chart) {
    y += drawLegend(context, chart.legend, y + 4, width);
    context.drawImage(chart.source, IMAGE_PADDING, y, chart.width, chart.height);
    y += chart.height;
  }
  return y + IMAGE_PADDING;
}

function composeImage(texts, chart, width) {
  const canvas = element("canvas", { width: width * IMAGE_SCALE, height: 1 }), context = canvas.getContext("2d");
  const height = Math.ceil(drawParts(context, texts, chart, width)); // on a canvas too small to show it
  canvas.height = height * IMAGE_SCALE; // clears the canvas
  context.scale(IMAGE_SCALE, IMAGE_SCALE);
  context.fillStyle = color("page");
  context.fillRect(0, 0, width, height);
  drawParts(context, texts, chart, width);
  return canvas;
}

/** The scope and the window that an image is about. */
function sourceText() {
  const scope = selectedScope(), scopeWindow = selectedWindow(scope);
  const name = scope.name.includes(PAGE.title) ? scope.name : `${PAGE.title} · ${scope.name}`;
  return `${name} · ${windowText(scopeWindow)} to ${scopeWindow.span.split(" – ").at(-1)} ${PAGE.zone}`;
}

function cardImage(metric) {
  const { value, level, n, interval } = selectedWindow(selectedScope()).cards[metric];
  const texts = [
    textStyle($(`${metric}-title`).textContent, 14, { weight: 600, fill: color("muted") }),
    textStyle(value, 30, { weight: 600 }),
    ...(level ? [textStyle(level, 14, { weight: 600 })] : []),
    ...[interval && `95 % interval ${interval}`, n].filter(Boolean).map((text) => quietText(text, 13)),
    quietText(sourceText()),
  ];
  return composeImage(texts, null, 380);
}

function chartImage(metric, container) {
  const source = container.querySelector("canvas[role]"), { width, height } = source.getBoundingClientRect();
  const legend = container.querySelectorAll(".legend span");
  const texts = [
    textStyle(`${$(`${metric}-title`).textContent}: ${container.querySelector("h3").textContent}`, 15, { weight: 600 }),
    quietText(sourceText()),
  ];
  return composeImage(texts, { source, legend, width, height }, width + 2 * IMAGE_PADDING);
}

/** Copy an image, or save it where that is not allowed. Returns what happened. */
async function copyImage(canvas, name) {
  const png = new Promise((done) => { canvas.toBlob(done, "image/png"); });
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    return "Copied";
  } catch {
    const address = URL.createObjectURL(await png);
    element("a", { href: address, download: `${name}.png` }).click();
    return `Saved as ${name}.png`;
  }
}

/** A button that copies the image that `buildImage` returns, and says so. */
function copyButton(title, name, buildImage, attributes) {
  const label = "Copy as image";
  const button = element("button", {
    type: "button", class: "copy", "aria-label": `${label}: ${title}`, "data-focus": `copy:${name}`,
    onclick: async () => {
      const result = await copyImage(buildImage(), name.replace(/^card:/, ""));
      button.textContent = result;
      $("announcement").textContent = result;
      setTimeout(() => { button.textContent = label; }, MESSAGE_MILLISECONDS);
    },
    ...attributes,
  }, label);
  return button;
}
