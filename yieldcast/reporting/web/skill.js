// Skill by lead: three charts, their result in sentences, and all numbers in a table.
const SKILL = DATA.skill.rows;
const skillModels = () =>
  [...new Set(SKILL.map((row) => row.model))].sort(
    (a, b) => (a !== "forecast") - (b !== "forecast") || a.localeCompare(b),
  );

const skillLine = (model, score) => ({
  kind: model,
  name: word("model", model),
  points: SKILL.filter((row) => row.model === model && row[score] !== null).map((row) => [row.lead_months, row[score]]),
});

function skillChart(title, note, lines, options) {
  const drawn = lines.filter((one) => one.points.length);
  if (!drawn.length) return null;
  return el(
    "figure",
    {},
    el("figcaption", {}, el("strong", {}, title), el("span", { class: "quiet" }, ` ${note}`)),
    leadChart(drawn, { ...options, title, note, marked: ABOUT.lead_months }),
  );
}

const skillLegend = (kinds) =>
  el(
    "ul",
    { class: "legend-lines" },
    kinds.map(([kind, name]) =>
      el(
        "li",
        {},
        svg(
          "svg",
          { viewBox: "0 0 34 14", "aria-hidden": "true" },
          svg("line", { x1: 1, x2: 33, y1: 7, y2: 7, class: `line ${kind}` }),
          svg("g", { class: `dot ${kind}` }, marker(kind, 17, 7)),
        ),
        name,
      ),
    ),
  );

function beatsSentence(score, name) {
  const { lead_months: lead, best } = DATA.skill.beats[score];
  if (!best.length) return t("beatsUnknown", { score: name });
  const first = lead === null ? t("beatsNever", { score: name }) : t("beats", { score: name, lead: months(lead) });
  return `${first} ${t("beatsOf", { score: name, won: best.filter((one) => one.won).length, n: best.length })}`;
}

function ownLineSentence() {
  const { compared, worse, most_pct: most } = DATA.skill.own_line;
  if (!compared.length) return "";
  if (!worse.length) return t("ownLineNever");
  return t("ownLineWorse", { n: worse.length, all: compared.length, share: percent(most / 100, 1) });
}

function worstSentence() {
  const known = SKILL.filter((row) => row.model === "forecast" && row.worst_coverage90 !== null);
  if (!known.length) return "";
  const worst = known.reduce((a, b) => (b.worst_coverage90 < a.worst_coverage90 ? b : a));
  return t("worst", {
    share: percent(worst.worst_coverage90),
    year: worst.worst_year,
    lead: months(worst.lead_months),
  });
}

function skillTable() {
  const score = (key, label, unit) => column(key, label, whole, { unit });
  const columns = [
    { ...column("lead_months", t("lead"), months), text: true },
    {
      key: "model",
      label: t("model"),
      text: true,
      value: (row) => word("model", row.model),
      cell: (row) => word("model", row.model),
    },
    score("rmse_kg_ha", t("rmse"), "kg/ha"),
    score("crps_kg_ha", t("crps"), "kg/ha"),
    column("coverage90", t("colCoverage"), (v) => percent(v)),
    {
      key: "worst_coverage90",
      label: t("colWorst"),
      value: (row) => row.worst_coverage90,
      cell: (row) => (row.worst_coverage90 === null ? "–" : `${percent(row.worst_coverage90)} (${row.worst_year})`),
    },
    column("n", t("n"), whole),
    {
      key: "years",
      label: t("years"),
      text: true,
      value: (row) => row.harvest_years[0],
      cell: (row) => yearSpan(row.harvest_years),
    },
  ];
  return new DataTable(columns, {
    id: "skill-table",
    name: t("skillTitle"),
    rows: SKILL,
    pageSize: 24,
    sort: { key: "lead_months", falling: true },
    search: (row) => word("model", row.model),
  });
}
const yearSpan = (years) =>
  years.length > 2 && years.at(-1) - years[0] === years.length - 1 ? `${years[0]}–${years.at(-1)}` : years.join(", ");

function skillSection() {
  const leftOut = DATA.skill.left_out[lang].map((text) => el("p", { class: "note" }, text));
  if (!SKILL.length) return leftOut.length ? leftOut : [el("p", { class: "note" }, t("skillNone"))];
  const models = skillModels(),
    years = [...new Set(SKILL.flatMap((row) => row.harvest_years))].sort();
  const worst = { ...skillLine("forecast", "worst_coverage90"), kind: "worst", name: t("worstLine") };
  const asNumber = { show: kgHa, tick: whole };
  const coverage = models.map((model) => skillLine(model, "coverage90")).concat(worst);
  const legend = [
    ...models.map((model) => [model, word("model", model)]),
    ...(worst.points.length ? [["worst", `${word("model", "forecast")}: ${t("worstLine")}`]] : []),
  ];
  return [
    el("p", {}, t("skillNote", { years: yearSpan(years) })),
    ...leftOut,
    el(
      "ul",
      { class: "findings" },
      [
        beatsSentence("rmse_kg_ha", t("rmse")),
        beatsSentence("crps_kg_ha", t("crps")),
        ownLineSentence(),
        worstSentence(),
      ]
        .filter(Boolean)
        .map((text) => el("li", {}, text)),
    ),
    skillLegend(legend),
    el(
      "div",
      { class: "charts" },
      skillChart(
        `${t("rmse")}, kg/ha`,
        t("rmseIs"),
        models.map((model) => skillLine(model, "rmse_kg_ha")),
        asNumber,
      ),
      skillChart(
        `${t("crps")}, kg/ha`,
        t("crpsIs"),
        models.map((model) => skillLine(model, "crps_kg_ha")),
        asNumber,
      ),
      skillChart(t("coverage"), t("coverageIs"), coverage, {
        show: (v) => percent(v, 1),
        tick: (v) => percent(v),
        level: 0.9,
        ceiling: 1,
      }),
    ),
    el("details", {}, el("summary", {}, t("numbers")), skillTable().node),
  ];
}
