// The three tables: country and states, municipalities, season so far.
const column = (key, label, show, more = {}) => ({
  key,
  label,
  value: (row) => row[key],
  cell: (row) => show(row[key]),
  ...more,
});
const whole = (value) => number(value);
const signed = (value) => el("span", { class: value ? (value < 0 ? "down" : "up") : "" }, number(value, 0, true));

// A share that is shown as a percentage.
const percentField = (key, label) => ({
  label,
  unit: "%",
  value: (row) => (row[key] === null ? null : Number((100 * row[key]).toFixed(1))),
});
const quantileField = (key, label) => ({ label, unit: "kg/ha", value: (row) => row[key] });

const shortInterval = (row) => (row.q0 === null ? "–" : `${number(row.q0)} – ${number(row.q6)}`);
// Beside the planted area, where the store has a map of the crop.
const mappedColumns = () =>
  COUNTRY.map_area === undefined
    ? []
    : [
        column("map_area", t("Area in the map"), whole, { unit: "ha" }),
        column("map_error", t("Standard error"), whole, { unit: "ha" }),
      ];
const STATES = AGGREGATES.slice(1);
const nameColumn = { key: "name", label: null, value: aggregateName, cell: aggregateName, text: true };

function aggregatesTable() {
  const scale = [Math.min(...AGGREGATES.map((row) => row.q0)), Math.max(...AGGREGATES.map((row) => row.q6))];
  const columns = [
    { ...nameColumn, label: t("State") },
    column("q3", t("Median"), (v) => el("strong", {}, number(v)), { unit: "kg/ha" }),
    {
      key: "interval",
      label: intervalName(0.9),
      unit: "kg/ha",
      value: (row) => row.width,
      cell: shortInterval,
      fields: [quantileField("q0", percent(0.05)), quantileField("q6", percent(0.95))],
    },
    { key: "range", label: t("Interval and ◇ five-year mean"), cell: (row) => rangeBar(row, scale), text: true },
    column("mean5", t("Five-year mean"), whole, { unit: "kg/ha" }),
    column("departure", t("Departure"), signed, { unit: "kg/ha" }),
    column("last", t("Last public"), whole, { unit: "kg/ha" }),
    ...(hasPrevious ? [column("change", t("Change"), signed, { unit: "kg/ha" })] : []),
    column("area", t("Planted area"), whole, { unit: "ha" }),
    ...mappedColumns(),
    column("t3", t("Production"), whole, { unit: "t" }),
    column("count", t("Places"), whole),
  ];
  return new DataTable(columns, {
    id: "aggregates",
    name: t("Country and states"),
    rows: STATES,
    pinned: [COUNTRY],
    search: (row) => `${row.name} ${aggregateName(row)}`,
    sort: { key: "area", falling: true },
  });
}

function placesTable(onChoose) {
  const name = {
    key: "name",
    label: t("Municipality"),
    text: true,
    value: (row) => row.name,
    cell: (row) => el("button", { type: "button", class: "link", onclick: () => onChoose(row) }, row.name),
    fields: [
      { label: t("Code"), value: (row) => String(row.code) },
      { label: t("Municipality"), value: (row) => row.name },
    ],
  };
  const columns = [
    name,
    { ...column("state", t("State"), (v) => v), text: true },
    column("q3", t("Median"), (v) => el("strong", {}, number(v)), { unit: "kg/ha" }),
    column("q0", percent(0.05), whole, { unit: "kg/ha" }),
    column("q6", percent(0.95), whole, { unit: "kg/ha" }),
    column("mean5", t("Five-year mean"), whole, { unit: "kg/ha" }),
    column("departure", t("Departure"), signed, { unit: "kg/ha" }),
    column("last", t("Last public"), whole, { unit: "kg/ha" }),
    ...(hasPrevious ? [column("change", t("Change"), signed, { unit: "kg/ha" })] : []),
    column("low", t("P(low yield)"), percent, { fields: [percentField("low", t("P(low yield)"))] }),
    column("area", t("Planted area"), whole, { unit: "ha" }),
    ...mappedColumns(),
    column("t3", t("Production"), whole, { unit: "t" }),
    column("share", t("Season observed"), percent, { fields: [percentField("share", t("Season observed"))] }),
  ];
  return new DataTable(columns, {
    id: "places",
    name: t("Municipalities"),
    rows: PLACES,
    search: (row) => `${row.name} ${row.code}`,
    states: [...new Set(PLACES.map((row) => row.state))].sort(),
    pageSize: 25,
    sort: { key: "area", falling: true },
  });
}

function seasonTable() {
  const columns = [
    { ...nameColumn, label: t("State") },
    {
      key: "start",
      label: t("Window"),
      text: true,
      value: (row) => row.start,
      cell: (row) => span(row.start, row.end),
      fields: [
        { label: t("Window: first day"), value: (row) => row.start },
        { label: t("Window: last day"), value: (row) => row.end },
      ],
    },
    column("share", t("Season observed"), (v) => el("span", { class: "with-bar" }, percent(v), share(v)), {
      fields: [percentField("share", t("Season observed"))],
    }),
    column("rain", t("Rain so far"), (v) => percent(v === null ? null : v / 100), {
      unit: t("{value} of normal", { value: "%" }),
    }),
    column("tmax", t("Max. temperature, anomaly"), (v) => number(v, 1, true), { unit: "°C" }),
    column("area", t("Planted area"), whole, { unit: "ha" }),
  ];
  return new DataTable(columns, {
    id: "season",
    name: t("Season so far"),
    rows: STATES,
    pinned: [COUNTRY],
    sort: { key: "area", falling: true },
  });
}
