// Charts in SVG: the quantiles of one forecast, the interval of a table row, scores by lead.

// About `wanted` round numbers within a range, as axis ticks.
function ticks(low, high, wanted = 5) {
  const step = roundStep(Math.max(high - low, 1e-9) / wanted);
  const out = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step)
    out.push(Number(at.toPrecision(12)));
  return out;
}

const SIGNS = {
  last: (x, y) => svg("path", { d: `M${x} ${y + 5}l5 9h-10z`, class: "sign-last" }),
  mean5: (x, y) => svg("path", { d: `M${x} ${y + 4}l5.5 5.5-5.5 5.5-5.5-5.5z`, class: "sign-mean5" }),
  trend: (x, y) => svg("circle", { cx: x, cy: y + 9.5, r: 4.6, class: "sign-trend" }),
};
const sign = (name) => svg("svg", { viewBox: "0 0 14 14", class: "sign", "aria-hidden": "true" }, SIGNS[name](7, -2.5));

const BASELINES = { last: () => t("Last public"), mean5: () => t("Five-year mean"), trend: () => t("Ten-year trend") };

// The quantiles of one row as nested bars (90, 80 and 50 % intervals), its median, and the baselines below.
function fan(row, name) {
  const width = 340,
    left = 16,
    right = width - 16,
    top = 8,
    tall = 34;
  const baselines = Object.keys(BASELINES).filter((key) => row[key] !== null && row[key] !== undefined);
  const shown = [row.q0, row.q6, row.threshold ?? row.q3, ...baselines.map((key) => row[key])];
  const low = Math.min(...shown),
    high = Math.max(...shown),
    room = Math.max((high - low) * 0.06, 10);
  const x = (value) => left + ((value - low + room) / (high - low + 2 * room)) * (right - left);
  const bar = (a, b, kind, thin) =>
    svg("rect", { x: x(a), y: top + thin, width: Math.max(x(b) - x(a), 1), height: tall - 2 * thin, class: kind });
  const axis = top + tall + 22;
  const label = [
    name,
    `${t("Median yield")} ${kgHa(row.q3)}`,
    `${intervalName(0.9)} ${range(row.q0, row.q6, "kg/ha")}`,
    ...baselines.map((key) => `${BASELINES[key]()} ${kgHa(row[key])}`),
  ].join("; ");
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${axis + 22}`, class: "fan", role: "img", "aria-label": label },
    bar(row.q0, row.q6, "band90", 9),
    bar(row.q1, row.q5, "band80", 5),
    bar(row.q2, row.q4, "band50", 0),
    svg("line", { x1: x(row.q3), x2: x(row.q3), y1: top - 4, y2: top + tall + 4, class: "median" }),
    row.threshold
      ? svg("line", { x1: x(row.threshold), x2: x(row.threshold), y1: top - 6, y2: axis, class: "threshold" })
      : "",
    baselines.map((key) => SIGNS[key](x(row[key]), top + tall)),
    svg("line", { x1: left, x2: right, y1: axis, y2: axis, class: "axis" }),
    ticks(low - room, high + room).map((at) =>
      svg("text", { x: x(at), y: axis + 15, "text-anchor": "middle" }, number(at)),
    ),
  );
}

// The 90 and 50 % intervals, median and five-year mean of one row, on the scale of all rows of the table.
function rangeBar(row, [low, high]) {
  const x = (value) => 3 + ((value - low) / (high - low || 1)) * 134;
  return svg(
    "svg",
    { viewBox: "0 0 140 18", class: "range", "aria-hidden": "true" },
    svg("rect", { x: x(row.q0), y: 6, width: Math.max(x(row.q6) - x(row.q0), 1), height: 6, class: "band90" }),
    svg("rect", { x: x(row.q2), y: 4, width: Math.max(x(row.q4) - x(row.q2), 1), height: 10, class: "band50" }),
    row.mean5 === null ? "" : svg("path", { d: `M${x(row.mean5)} 4.5l4.5 4.5-4.5 4.5-4.5-4.5z`, class: "sign-mean5" }),
    svg("line", { x1: x(row.q3), x2: x(row.q3), y1: 1, y2: 17, class: "median" }),
  );
}

const share = (value) =>
  svg(
    "svg",
    { viewBox: "0 0 100 8", class: "share", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: 100, height: 8, class: "share-all" }),
    svg("rect", { width: 100 * value, height: 8, class: "share-part" }),
  );

// Scores by lead, the longest lead at the left so that time runs to the right.
// lines: [{name, kind, points: [[lead, value]]}]. options: title, note; show(value) for titles, tick(value) for the
// axis; floor and ceiling, values that the axis must include; level, a value to mark; marked, a lead to mark.
function leadChart(lines, options) {
  const width = 400,
    height = 230,
    left = 52,
    right = 12,
    top = 12,
    bottom = 40;
  const points = lines.flatMap((line) => line.points);
  const leads = [...new Set(points.map(([lead]) => lead))].sort((a, b) => b - a);
  const values = points.map(([, value]) => value);
  const low = Math.min(options.floor ?? Infinity, ...values),
    high = Math.max(options.ceiling ?? -Infinity, ...values);
  const room = (high - low || 1) * 0.06;
  const bottomValue = low === options.floor ? low : low - room,
    topValue = high === options.ceiling ? high : high + room;
  const x = (lead) => left + ((leads[0] - lead) / (leads[0] - leads.at(-1) || 1)) * (width - left - right - 8) + 4;
  const y = (value) => top + ((topValue - value) / (topValue - bottomValue)) * (height - top - bottom);
  const every = Math.ceil(leads.length / 7);
  const dots = ({ kind, points: all, name }) =>
    all.map(([lead, value]) =>
      svg(
        "g",
        { class: `dot ${kind}` },
        marker(kind, x(lead), y(value)),
        svg("title", {}, `${name}, ${months(lead)}: ${options.show(value)}`),
      ),
    );
  return svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      class: "lead-chart",
      role: "img",
      "aria-label": `${options.title}. ${options.note}`,
    },
    ticks(bottomValue, topValue).map((at) => [
      svg("line", { x1: left, x2: width - right, y1: y(at), y2: y(at), class: "grid" }),
      svg("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, options.tick(at)),
    ]),
    options.level === undefined
      ? ""
      : svg("line", { x1: left, x2: width - right, y1: y(options.level), y2: y(options.level), class: "level" }),
    leads.includes(options.marked)
      ? [
          svg("line", { x1: x(options.marked), x2: x(options.marked), y1: top, y2: height - bottom, class: "now" }),
          svg(
            "text",
            {
              x: x(options.marked) + (x(options.marked) > width / 2 ? -4 : 4),
              y: top + 8,
              class: "now",
              "text-anchor": x(options.marked) > width / 2 ? "end" : "start",
            },
            t("this bulletin"),
          ),
        ]
      : "",
    lines.map((line) =>
      svg("polyline", {
        points: line.points.map(([lead, value]) => `${x(lead)},${y(value)}`).join(" "),
        class: `line ${line.kind}`,
      }),
    ),
    lines.map(dots),
    leads
      .filter((_, i) => i % every === 0)
      .map((lead) => svg("text", { x: x(lead), y: height - bottom + 17, "text-anchor": "middle" }, number(lead))),
    svg(
      "text",
      { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle", class: "quiet" },
      t("months to harvest"),
    ),
  );
}

// A different marker for every model, because colour alone is not enough for colour-blind readers.
function marker(kind, x, y) {
  const shapes = {
    forecast: () => svg("circle", { cx: x, cy: y, r: 4.2 }),
    last_public: () => svg("path", { d: `M${x} ${y - 4.6}l4.6 8.2h-9.2z` }),
    mean_5y_public: () => svg("path", { d: `M${x} ${y - 4.8}l4.8 4.8-4.8 4.8-4.8-4.8z` }),
    trend_10y_public: () => svg("rect", { x: x - 3.4, y: y - 3.4, width: 6.8, height: 6.8 }),
    boosted_history_public: () => svg("path", { d: `M${x} ${y + 4.6}l4.6-8.2h-9.2z` }),
    level_trend: () => svg("rect", { x: x - 4.6, y: y - 2.2, width: 9.2, height: 4.4 }),
    official: () => svg("rect", { x: x - 2.2, y: y - 4.6, width: 4.4, height: 9.2 }),
    climatology: () => svg("path", { d: `M${x - 4} ${y}h8M${x} ${y - 4}v8`, class: "open" }),
  };
  return (shapes[kind] ?? (() => svg("path", { d: `M${x - 3} ${y - 3}l6 6M${x + 3} ${y - 3}l-6 6`, class: "open" })))();
}
