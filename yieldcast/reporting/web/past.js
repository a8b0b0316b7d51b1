// A place's public yields beside its forecast, and the bulletins of the season one after the other.
const PAST = DATA.past,
  BULLETINS = DATA.bulletins;
const once = (make) => {
  let made = null;
  return () => (made ??= make());
};
const pastOfPlaces = once(() => varints(bytes(PAST.places)));
const quantilesOfPlaces = once(() => varints(bytes(BULLETINS.places)));
const movesOfPlaces = once(() => varints(bytes(BULLETINS.moved)).map(zigzag));
const isPlace = (row) => row.code !== undefined;
const known = (packed) => (packed ? packed - 1 : null);

// [{year, value}] of the years with a public yield.
function pastOf(row) {
  if (!PAST) return [];
  const start = row.index * PAST.years;
  const values = isPlace(row)
    ? pastOfPlaces().slice(start, start + PAST.years).map(known)
    : PAST.aggregates[row.index];
  return values.map((value, k) => ({ year: PAST.first_year + k, value })).filter(({ value }) => value !== null);
}

// [{date, low, median, high, change, moved: [[part, kg/ha]]}] of all bulletins of the season, this one last.
function bulletinsOf(row) {
  const count = BULLETINS.dates.length,
    parts = BULLETINS.parts;
  const at = row.index * count * 3;
  const values = isPlace(row)
    ? quantilesOfPlaces().slice(at, at + count * 3).map(known)
    : (BULLETINS.aggregates[row.index] ?? []);
  const moves = (step) => {
    const start = (row.index * count + step) * parts.length;
    return isPlace(row) ? movesOfPlaces().slice(start, start + parts.length) : BULLETINS.moved_aggregates[row.index][step];
  };
  const all = BULLETINS.dates.map((day, k) => ({ date: day, low: values[3 * k], median: values[3 * k + 1], high: values[3 * k + 2] }));
  all.push({ date: ABOUT.as_of, low: row.q0, median: row.q3, high: row.q6 });
  return all
    .map((one, k) => {
      const before = k ? all[k - 1].median : null;
      const steps = k && before !== null && parts.length ? moves(k - 1).map((value, i) => [parts[i], value]) : [];
      const moved = steps.filter(([, value]) => value).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
      return { ...one, change: difference(one.median, before), moved };
    })
    .filter((one) => one.median !== null);
}

const FRAME = { width: 340, height: 170, left: 44, right: 10, top: 10, bottom: 24 };
function frame(values, label, draw) {
  const { width, height, left, right, top, bottom } = FRAME;
  const low = Math.min(...values),
    high = Math.max(...values),
    room = Math.max((high - low) * 0.08, 10);
  const y = (value) => top + ((high + room - value) / (high - low + 2 * room)) * (height - top - bottom);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "past", role: "img", "aria-label": label },
    ticks(low - room, high + room, 4).map((at) => [
      svg("line", { x1: left, x2: width - right, y1: y(at), y2: y(at), class: "grid" }),
      svg("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, number(at)),
    ]),
    draw(y),
  );
}
const axisText = (x, text, anchor = "middle") =>
  svg("text", { x, y: FRAME.height - 6, "text-anchor": anchor }, text);

// Public yields as a line, the forecast of the harvest year as nested bars (90, 80 and 50 %) with its median.
function pastChart(row, name) {
  const past = pastOf(row);
  if (!past.length) return [];
  const first = past[0].year,
    final = ABOUT.harvest_year;
  const x = (year) => FRAME.left + 8 + ((year - first) / (final - first || 1)) * (FRAME.width - FRAME.left - FRAME.right - 20);
  const label = t("{name}: public yields {first} to {last}; forecast for {year}: median {median}, {interval} {range}", {
    interval: intervalName(0.9),
    name,
    first,
    last: past.at(-1).year,
    year: final,
    median: kgHa(row.q3),
    range: range(row.q0, row.q6, "kg/ha"),
  });
  const chart = frame([row.q0, row.q6, ...past.map(({ value }) => value)], label, (y) => {
    const bar = (a, b, kind, wide) =>
      svg("rect", { x: x(final) - wide / 2, y: y(b), width: wide, height: Math.max(y(a) - y(b), 1), class: kind });
    const every = Math.ceil((final - first + 1) / 5);
    return [
      past.slice(1).map(({ year, value }, k) =>
        year - past[k].year === 1
          ? svg("line", { x1: x(year - 1), y1: y(past[k].value), x2: x(year), y2: y(value), class: "line past-line" })
          : "",
      ),
      past.map(({ year, value }) =>
        svg("circle", { cx: x(year), cy: y(value), r: 2.6, class: "past-dot" }, svg("title", {}, `${year}: ${kgHa(value)}`)),
      ),
      bar(row.q0, row.q6, "band90", 8),
      bar(row.q1, row.q5, "band80", 11),
      bar(row.q2, row.q4, "band50", 14),
      svg("line", { x1: x(final) - 9, x2: x(final) + 9, y1: y(row.q3), y2: y(row.q3), class: "median" }),
      Array.from({ length: final - first + 1 }, (_, k) => final - k)
        .filter((year, k) => k % every === 0)
        .map((year) => axisText(x(year), String(year))),
    ];
  });
  return [el("h4", {}, t("Public yields and forecast")), ...savable(chart, `${name}-yields`)];
}

// Median and 90 % interval of each bulletin by its date.
function bulletinChart(all, name) {
  const days = all.map((one) => Date.parse(one.date)),
    start = days[0],
    length = days.at(-1) - start || 1;
  const x = (k) => FRAME.left + 10 + ((days[k] - start) / length) * (FRAME.width - FRAME.left - FRAME.right - 24);
  const label = t("{name}: median and {interval} of {n} bulletins; the table below has the numbers", {
    name,
    interval: intervalName(0.9),
    n: number(all.length),
  });
  return frame(all.flatMap((one) => [one.low, one.high]), label, (y) => {
    const edge = (key) => all.map((one, k) => `${x(k)},${y(one[key])}`);
    return [
      svg("polygon", { points: [...edge("low"), ...edge("high").reverse()].join(" "), class: "band90" }),
      svg("polyline", { points: edge("median").join(" "), class: "line forecast" }),
      all.map((one, k) =>
        svg("circle", { cx: x(k), cy: y(one.median), r: 3.4, class: "bulletin-dot" }, svg("title", {}, `${date(one.date)}: ${kgHa(one.median)}`)),
      ),
      axisText(FRAME.left, date(all[0].date, "short"), "start"),
      axisText(FRAME.width - FRAME.right, date(all.at(-1).date, "short"), "end"),
    ];
  });
}

const MOST_MOVED = 3; // parts named for each bulletin
function bulletinsOfPanel(row, name) {
  const all = bulletinsOf(row);
  if (all.length < 2) return [];
  const moved = ({ moved: parts, change }) =>
    parts.length
      ? parts
          .slice(0, MOST_MOVED)
          .map(([part, value]) => el("span", { class: "moved" }, partName(part), "\u00a0", signed(value)))
      : change === null ? "–" : "";
  const line = (one) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, date(one.date, "short")),
      el("td", {}, number(one.median)),
      el("td", {}, signed(one.change)),
      BULLETINS.parts.length ? el("td", { class: "text" }, moved(one)) : "",
    );
  const head = [t("Date"), t("Median"), t("Change"), ...(BULLETINS.parts.length ? [t("What moved")] : [])];
  return [
    el("h4", {}, t("Bulletins of this harvest")),
    ...savable(bulletinChart(all, name), `${name}-bulletins`),
    el(
      "table",
      { class: "bulletins" },
      el("caption", { class: "unseen" }, t("Bulletins of this harvest")),
      el("thead", {}, el("tr", {}, head.map((text, k) => el("th", { scope: "col", class: k === 3 ? "text" : "" }, text)))),
      el("tbody", {}, all.toReversed().map(line)),
    ),
  ];
}
