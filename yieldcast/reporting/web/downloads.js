// Files made in the page: a table as CSV, a chart as SVG, the map as PNG.
function save(name, blob) {
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
const fileName = (what, ending) =>
  `${[ABOUT.crop, ABOUT.harvest_year, ABOUT.as_of, what]
    .join("-")
    .replace(/[^\p{L}\p{N}-]+/gu, "-")
    .toLowerCase()}.${ending}`;
const downloadButton = (label, save) =>
  el("button", { type: "button", class: "download", onclick: save }, el("span", { "aria-hidden": "true" }, "↓ "), label);

// As forecast.csv, see spreadsheets.py: decimal comma and semicolon in Portuguese, and an apostrophe before a text that a
// spreadsheet would read as a formula.
const FORMULA = /(^|[,;\t\r\n])(?=[\t\r]|\s*[=+\-@＝＋－＠])/g;
function csv(head, lines) {
  const comma = decimalMark() === ",";
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(Number(value.toFixed(4))).replace(".", comma ? "," : ".");
    const text = value.replace(FORMULA, "$1'");
    return /[";,\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const text = [head, ...lines].map((line) => line.map(cell).join(comma ? ";" : ",")).join("\r\n");
  return new Blob([comma ? "\ufeff" : "", text, "\r\n"], { type: "text/csv;charset=utf-8" });
}
const decimalMark = () => new Intl.NumberFormat(language.locale).formatToParts(1.5).find((p) => p.type === "decimal").value;

// Styles that a chart has from the page and needs without it.
const CHART_STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family", "text-anchor"];
function chartFile(chart) {
  const copy = chart.cloneNode(true),
    [, , width, height] = chart.getAttribute("viewBox").split(" ");
  const parts = [chart, ...chart.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((node, k) => {
    const style = getComputedStyle(parts[k]);
    for (const name of CHART_STYLES) node.setAttribute(name, style.getPropertyValue(name));
    node.removeAttribute("class");
  });
  const ground = getComputedStyle(document.body).backgroundColor;
  copy.prepend(svg("rect", { width: "100%", height: "100%", fill: ground }));
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  return new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
}
// A chart with the button that saves it.
const savable = (chart, what) => [
  chart,
  el("p", { class: "save" }, downloadButton("SVG", () => save(fileName(what, "svg"), chartFile(chart)))),
];

// The map as it is shown, under its title and with its legend.
function mapPicture() {
  const { base, density } = map,
    { layer, breaks, colours } = map.classes;
  const style = getComputedStyle(document.body),
    margin = 16 * density,
    line = 22 * density;
  const picture = el("canvas", { width: base.width + 2 * margin, height: base.height + 2 * margin + 5.4 * line });
  const context = picture.getContext("2d"),
    write = (text, x, y, font) => {
      context.font = `${font.replace("$", 15 * density)} ${style.fontFamily}`;
      context.fillText(text, x, y);
    };
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, picture.width, picture.height);
  context.fillStyle = style.color;
  context.textBaseline = "top";
  write(document.title + (isSynthetic() ? ` (${t("synthetic data")})` : ""), margin, margin, "700 $px");
  write(`${layerLabel(layer)} (${layer.unit})`, margin, margin + line, "400 $px");
  const step = Math.min((picture.width - 2 * margin) / (colours.length + 3), 70 * density),
    top = margin + 2.2 * line;
  colours.forEach((colour, k) => {
    context.fillStyle = colour;
    context.fillRect(margin + k * step, top, step, line * 0.7);
  });
  context.fillStyle = mapInks().none;
  context.fillRect(margin + (colours.length + 0.4) * step, top, step * 0.5, line * 0.7);
  context.fillStyle = style.color;
  write(t("no forecast"), margin + (colours.length + 1) * step, top, "400 $px");
  context.textAlign = "center";
  breaks.forEach((limit, k) => write(layer.tick(limit), margin + (k + 1) * step, top + 0.8 * line, "400 $px"));
  context.textAlign = "start";
  context.drawImage(base, margin, margin + 4 * line);
  write(`${ABOUT.made_with} · ${ABOUT.attribution}`, margin, picture.height - margin - line * 0.8, "400 $px");
  return picture;
}
