// The three tables: country and states, municipalities, season so far.
const column = (key, label, show, more = {}) => ({
  key,
  label,
  value: (row) => row[key],
  cell: (row) => show(row[key]),
  ...more,
});
const whole = (value) => number(value);
const signed = (value) =>
  el("span", { class: value ? (value < 0 ? "down" : "up") : "" }, number(value, 0, true));

// A share that is shown as a percentage.
const percentField = (key, label) => ({
  label,
  unit: "%",
  value: (row) => (row[key] === null ? null : Number((100 * row[key]).toFixed(1))),
});
const quantileField = (key, label) => ({ label, unit: "kg/ha", value: (row) => row[key] });

const shortInterval = (row) => (row.q0 === null ? "–" : `${number(row.q0)} – ${number(row.q6)}`);
const STATES = AGGREGATES.slice(1);
const nameColumn = { key: "name", label: null, value: aggregateName, cell: aggregateName, text: true };

function aggregatesTable() {
  const scale = [Math.min(...AGGREGATES.map((row) => row.q0)), Math.max(...AGGREGATES.map((row) => row.q6))];
  const columns = [
    { ...nameColumn, label: t("state") },
    column("q3", t("colMedian"), (v) => el("strong", {}, number(v)), { unit: "kg/ha" }),
    {
      key: "interval",
      label: t("colInterval"),
      unit: "kg/ha",
      value: (row) => row.width,
      cell: shortInterval,
      fields: [quantileField("q0", t("colLow5")), quantileField("q6", t("colHigh95"))],
    },
    { key: "range", label: t("colRange"), cell: (row) => rangeBar(row, scale), text: true },
    column("mean5", t("colMean5"), whole, { unit: "kg/ha" }),
    column("departure", t("colDeparture"), signed, { unit: "kg/ha" }),
    column("last", t("colLast"), whole, { unit: "kg/ha" }),
    ...(hasPrevious ? [column("change", t("colChange"), signed, { unit: "kg/ha" })] : []),
    column("area", t("area"), whole, { unit: "ha" }),
    column("t3", t("colProduction"), whole, { unit: "t" }),
    column("count", t("colCount"), whole),
  ];
  return new DataTable(columns, {
    id: "aggregates",
    name: t("tablesTitle"),
    rows: STATES,
    pinned: [COUNTRY],
    search: (row) => `${row.name} ${aggregateName(row)}`,
    sort: { key: "area", falling: true },
  });
}

function placesTable(onChoose) {
  const name = {
    key: "name",
    label: t("municipality"),
    text: true,
    value: (row) => row.name,
    cell: (row) => el("button", { type: "button", class: "link", onclick: () => onChoose(row) }, row.name),
    fields: [
      { label: t("code"), value: (row) => String(row.code) },
      { label: t("municipality"), value: (row) => row.name },
    ],
  };
  const columns = [
    name,
    { ...column("state", t("state"), (v) => v), text: true },
    column("q3", t("colMedian"), (v) => el("strong", {}, number(v)), { unit: "kg/ha" }),
    column("q0", t("colLow5"), whole, { unit: "kg/ha" }),
    column("q6", t("colHigh95"), whole, { unit: "kg/ha" }),
    column("mean5", t("colMean5"), whole, { unit: "kg/ha" }),
    column("departure", t("colDeparture"), signed, { unit: "kg/ha" }),
    column("last", t("colLast"), whole, { unit: "kg/ha" }),
    ...(hasPrevious ? [column("change", t("colChange"), signed, { unit: "kg/ha" })] : []),
    column("low", t("low"), percent, { fields: [percentField("low", t("low"))] }),
    column("area", t("area"), whole, { unit: "ha" }),
    column("t3", t("colProduction"), whole, { unit: "t" }),
    column("share", t("colObserved"), percent, { fields: [percentField("share", t("colObserved"))] }),
  ];
  return new DataTable(columns, {
    id: "places",
    name: t("placesTitle"),
    rows: PLACES,
    search: (row) => `${row.name} ${row.code}`,
    states: [...new Set(PLACES.map((row) => row.state))].sort(),
    pageSize: 25,
    sort: { key: "area", falling: true },
  });
}

function seasonTable() {
  const columns = [
    { ...nameColumn, label: t("state") },
    {
      key: "start",
      label: t("windowDates"),
      text: true,
      value: (row) => row.start,
      cell: (row) => span(row.start, row.end),
      fields: [
        { label: t("windowStart"), value: (row) => row.start },
        { label: t("windowEnd"), value: (row) => row.end },
      ],
    },
    column("share", t("colObserved"), (v) => el("span", { class: "with-bar" }, percent(v), share(v)), {
      fields: [percentField("share", t("colObserved"))],
    }),
    column("rain", t("rain"), (v) => withUnit(number(v), "%"), { unit: t("ofNormal", { value: "%" }) }),
    column("tmax", t("tmaxAnomaly"), (v) => number(v, 1, true), { unit: "°C" }),
    column("area", t("area"), whole, { unit: "ha" }),
  ];
  return new DataTable(columns, {
    id: "season",
    name: t("seasonTitle"),
    rows: STATES,
    pinned: [COUNTRY],
    sort: { key: "area", falling: true },
  });
}
