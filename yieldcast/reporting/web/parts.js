// What every median is made of: a waterfall as a table with one bar per row, and the section with all states.
const PARTS = DATA.parts;
const hasParts = PARTS.places.length > 0;
const hasMoved = hasParts && COUNTRY[`moved_${PARTS.aggregates[0]}`] !== undefined;
const partName = (name) => word("part", name);
const partMeaning = (name) => word("meaning", name);
const partsOf = (row) => (row.code === undefined ? PARTS.aggregates : PARTS.places);

// Where the bar of each part begins and ends: each begins where the one before ends, the first at 0.
function partSteps(row) {
  let at = 0;
  return partsOf(row).map((name) => {
    const from = at;
    at += row[`part_${name}`];
    return { name, from, to: at };
  });
}

// The part of a row's axis that is shown, in kg/ha: from the lowest to the highest end of a bar, with some room.
function partScale(steps) {
  const ends = steps.map((step) => step.to),
    low = Math.min(...ends),
    high = Math.max(...ends),
    room = Math.max((high - low) * 0.08, 10);
  return { low: low - room, high: high + room };
}

// One row of the waterfall; the widths are shares of the cell, so the bars follow the width of the page.
function partBar({ from, to }, { low, high }, kind) {
  const x = (value) => `${(100 * (value - low)) / (high - low)}%`;
  const line = (at, y1, y2, name) => svg("line", { x1: x(at), x2: x(at), y1, y2, class: name });
  const parts =
    kind === "end"
      ? [line(to, "0%", "18%", "joint"), line(to, "18%", "82%", "median")]
      : kind === "start"
        ? [line(to, "18%", "82%", "median"), line(to, "82%", "100%", "joint")]
        : [
            line(from, "0%", "18%", "joint"),
            svg("rect", {
              x: x(Math.min(from, to)),
              y: "18%",
              width: `${Math.max((100 * Math.abs(to - from)) / (high - low), 0.8)}%`,
              height: "64%",
              class: to < from ? "fall" : "rise",
            }),
            line(to, "82%", "100%", "joint"),
          ];
  return svg("svg", { "aria-hidden": "true" }, parts);
}

function partAxis({ low, high }) {
  const share = (at) => (at - low) / (high - low);
  return ticks(low, high, 3)
    .filter((at) => share(at) > 0.12 && share(at) < 0.85)
    .map((at) => {
      const mark = el("span", {}, number(at));
      mark.style.left = `${100 * share(at)}%`;
      return mark;
    });
}

// The parts of one municipality, state or country as a table: kg/ha, a bar, and the change since the previous bulletin.
function waterfall(row, name) {
  const steps = partSteps(row),
    scale = partScale(steps);
  const moved = hasMoved && row.before !== null;
  const line = (label, value, bar, change, title) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", title }, label),
      el("td", {}, value),
      el("td", { class: "bar" }, bar),
      moved ? el("td", {}, signed(change)) : "",
    );
  const rows = steps.map((step, k) =>
    line(
      capital(partName(step.name)),
      number(step.to - step.from, 0, k > 0),
      partBar(step, scale, k ? "step" : "start"),
      row[`moved_${step.name}`],
      partMeaning(step.name),
    ),
  );
  const end = steps.at(-1);
  return el(
    "table",
    { class: "waterfall" },
    el("caption", { class: "unseen" }, t("Parts of the median: {name}", { name })),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, t("Part")),
        el("th", { scope: "col" }, "kg/ha"),
        el("td", { class: "axis" }, el("div", { "aria-hidden": "true" }, partAxis(scale))),
        moved ? el("th", { scope: "col" }, t("Change")) : "",
      ),
    ),
    el("tbody", {}, rows),
    el("tfoot", {}, line(t("Median yield"), number(row.q3), partBar(end, scale, "end"), row.change)),
  );
}

const WATER = DATA.water;
const waterOfPlaces = once(() => varints(bytes(WATER.places)).map(zigzag));

// Where the bar of each month's water begins and ends, the first at 0; months without an effect are left out.
function waterSteps(row) {
  if (!WATER || !isPlace(row)) return [];
  let at = 0;
  return WATER.months
    .map((month, k) => {
      const from = at;
      at += waterOfPlaces()[row.index * WATER.months.length + k];
      return { month, from, to: at };
    })
    .filter(({ from, to }) => from !== to);
}

// The part "water so far" by month, as each month became known: a table in the style of the waterfall.
function waterByMonth(row, name) {
  const steps = waterSteps(row);
  if (!steps.length) return [];
  const scale = partScale([{ to: 0 }, ...steps]);
  const line = (label, value, bar) =>
    el("tr", {}, el("th", { scope: "row" }, label), el("td", {}, signed(value)), el("td", { class: "bar" }, bar));
  const end = steps.at(-1);
  return [
    el("h4", {}, t("What the water of each month added")),
    el(
      "table",
      { class: "waterfall" },
      el("caption", { class: "unseen" }, t("Water by month: {name}", { name })),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, t("Month")),
          el("th", { scope: "col" }, "kg/ha"),
          el("td", { class: "axis" }, el("div", { "aria-hidden": "true" }, partAxis(scale))),
        ),
      ),
      el(
        "tbody",
        {},
        steps.map((step) => line(date(step.month), step.to - step.from, partBar(step, scale, "step"))),
      ),
      el("tfoot", {}, line(capital(partName("water_so_far")), end.to, partBar(end, scale, "end"))),
    ),
  ];
}

// The official estimate of a state, as of when and since when public.
function officialLine(row) {
  if (row?.official === undefined || row.official === null) return "";
  return el(
    "p",
    { class: "quiet" },
    t("Official estimate for {name}: {value} ({source}, {month}), public from {day}.", {
      name: aggregateName(row),
      value: kgHa(row.official),
      source: row.official_source.toUpperCase(),
      month: date(row.official_reference),
      day: date(row.official_public_from),
    }),
  );
}

// For the panel of a municipality (or the country): heading, waterfall, official estimate.
function partsOfPanel(row, name) {
  if (!hasParts) return [];
  const state = row.code === undefined ? row : AGGREGATES.find((one) => one.name === row.state);
  return [
    el("h4", {}, t("What the median is made of")),
    waterfall(row, name),
    officialLine(state),
    ...waterByMonth(row, name),
  ];
}

function partsTable() {
  const columns = [
    { ...nameColumn, label: t("State") },
    column("q3", t("Median"), (v) => el("strong", {}, number(v)), { unit: "kg/ha" }),
    ...PARTS.aggregates.map((name, k) =>
      column(`part_${name}`, capital(partName(name)), k ? signed : whole, { unit: "kg/ha" }),
    ),
    column("area", t("Planted area"), whole, { unit: "ha" }),
  ];
  return new DataTable(columns, {
    id: "parts-table",
    name: t("What the median is made of"),
    rows: STATES,
    pinned: [COUNTRY],
    search: (row) => `${row.name} ${aggregateName(row)}`,
    sort: { key: "area", falling: true },
  });
}

function partsSection() {
  if (!hasParts)
    return [el("p", { class: "note" }, t("This forecast has no parts: it was made by the network alone."))];
  const shown = el("div", { id: "parts-shown", "aria-live": "polite" });
  const show = (row) =>
    shown.replaceChildren(el("h3", {}, aggregateName(row)), waterfall(row, aggregateName(row)), officialLine(row));
  const select = el(
    "select",
    { id: "parts-of" },
    AGGREGATES.map((row, k) => el("option", { value: k }, aggregateName(row))),
  );
  select.addEventListener("change", () => show(AGGREGATES[select.value]));
  show(COUNTRY);
  const meanings = [...new Set([...PARTS.places, ...PARTS.aggregates])];
  return [
    el(
      "p",
      {},
      t(
        "Every median is a sum, in kg/ha: the level of recent years, then what each ingredient adds to it. Those of the country and the states are means of their municipalities by planted area. Each bar begins where the one before ends; the axis does not begin at 0.",
      ),
    ),
    el(
      "div",
      { class: "two" },
      el(
        "div",
        {},
        el("div", { class: "controls" }, el("label", { for: "parts-of" }, t("Country or state")), select),
        shown,
      ),
      el(
        "dl",
        { class: "facts" },
        meanings.map((name) => entry(capital(partName(name)), partMeaning(name))),
      ),
    ),
    PARTS.zero.length
      ? el(
          "p",
          { class: "quiet" },
          t("Zero everywhere in this bulletin: {names}.", { names: PARTS.zero.map(partName).join(", ") }),
        )
      : "",
    partsTable().node,
  ];
}
