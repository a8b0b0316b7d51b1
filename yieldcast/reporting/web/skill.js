// Skill by lead: three charts, their result in sentences, and all numbers in a table.
const SKILL = DATA.skill.rows;
const skillModels = () =>
  [...new Set(SKILL.map((row) => row.model))].sort(
    (a, b) => (a !== "forecast") - (b !== "forecast") || a.localeCompare(b),
  );

const modelName = (model) => capital(word("model", model));
const skillLine = (model, score) => ({
  kind: model,
  name: modelName(model),
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
  if (!best.length) return t("{score}: there is no baseline to compare with.", { score: name });
  const first =
    lead === null
      ? t("{score}: the forecast does not beat the best baseline at the shortest lead.", { score: name })
      : t("{score}: the forecast beats the best baseline from {lead} before the harvest on.", {
          score: name,
          lead: months(lead),
        });
  return `${first} ${t("It has the lower {score} at {won} of {n} leads.", { score: name, won: best.filter((one) => one.won).length, n: best.length })}`;
}

// Of a single lead, as hindcasts of a run have it.
function onlyLeadSentence(score, name) {
  const { best } = DATA.skill.beats[score];
  if (!best.length) return t("{score}: there is no baseline to compare with.", { score: name });
  const filling = { score: name, model: modelName(best[0].model) };
  return best[0].won
    ? t("{score}: lower than that of the best baseline ({model}).", filling)
    : t("{score}: not lower than that of the best baseline ({model}).", filling);
}

function ownLineSentence() {
  const { compared, worse, most_pct: most } = DATA.skill.own_line;
  if (!compared.length) return "";
  if (!worse.length) return t("The forecast is nowhere worse than level and trend alone, from which it departs.");
  return t(
    "The forecast is worse than level and trend alone, from which it departs, at {n} of {all} leads (at most {share}).",
    { n: worse.length, all: compared.length, share: percent(most / 100, 1) },
  );
}

function worstSentence() {
  const known = SKILL.filter((row) => row.model === "forecast" && row.worst_coverage90 !== null);
  if (!known.length) return "";
  const worst = known.reduce((a, b) => (b.worst_coverage90 < a.worst_coverage90 ? b : a));
  const lead = worst.lead_months;
  const onTheEve = t("just before the harvest");
  const before = tn("{n} month before the harvest", "{n} months before the harvest", lead);
  return t("In the worst year ({year}), {share} of the outcomes fell inside the {interval} interval, {when}.", {
    year: worst.worst_year,
    share: percent(worst.worst_coverage90),
    interval: percent(0.9),
    when: lead ? before : onTheEve,
  });
}

function skillTable() {
  const score = (key, label, unit) => column(key, label, whole, { unit });
  const columns = [
    { ...column("lead_months", t("Lead"), months), text: true },
    {
      key: "model",
      label: t("Model"),
      text: true,
      value: (row) => modelName(row.model),
      cell: (row) => modelName(row.model),
    },
    score("rmse_kg_ha", t("RMSE"), "kg/ha"),
    score("crps_kg_ha", t("CRPS"), "kg/ha"),
    column("coverage90", t("Coverage"), (v) => percent(v)),
    {
      key: "worst_coverage90",
      label: t("Worst year"),
      value: (row) => row.worst_coverage90,
      cell: (row) => (row.worst_coverage90 === null ? "–" : `${percent(row.worst_coverage90)} (${row.worst_year})`),
    },
    column("n", t("n"), whole),
    {
      key: "years",
      label: t("Harvests"),
      text: true,
      value: (row) => row.harvest_years[0],
      cell: (row) => yearSpan(row.harvest_years),
    },
  ];
  return new DataTable(columns, {
    id: "skill-table",
    name: t("Skill so far"),
    rows: SKILL,
    pageSize: 24,
    sort: { key: "lead_months", falling: true },
    search: (row) => modelName(row.model),
  });
}
const yearSpan = (years) =>
  years.length > 2 && years.at(-1) - years[0] === years.length - 1 ? `${years[0]}–${years.at(-1)}` : years.join(", ");

// Without a backtest: hindcasts of the run at the lead of this bulletin.
function hindcastSkill(years) {
  return [
    el(
      "p",
      {},
      t(
        "Hindcasts of this run for harvests {years} at the lead of this bulletin ({lead}), each made without the yields of its own harvest; only harvests that were public on {date} are scored. The other harvests, later ones too, taught the run, so a real forecast is somewhat less accurate. A backtest measures that.",
        { years: yearSpan(years), lead: months(ABOUT.lead_months), date: date(ABOUT.as_of) },
      ),
    ),
    el(
      "ul",
      { class: "findings" },
      [
        onlyLeadSentence("rmse_kg_ha", t("RMSE")),
        onlyLeadSentence("crps_kg_ha", t("CRPS")),
        worstSentence(),
      ]
        .filter(Boolean)
        .map((text) => el("li", {}, text)),
    ),
    skillTable().node,
  ];
}

function skillSection() {
  const leftOut = DATA.skill.left_out[language.tag].map((text) => el("p", { class: "note" }, text));
  if (!SKILL.length)
    return leftOut.length
      ? leftOut
      : [
          el(
            "p",
            { class: "note" },
            t("There are too few past harvests to show the skill, and no backtest was given with this bulletin."),
          ),
        ];
  const models = skillModels(),
    years = [...new Set(SKILL.flatMap((row) => row.harvest_years))].sort();
  const worst = { ...skillLine("forecast", "worst_coverage90"), kind: "worst", name: t("worst year") };
  const asNumber = { show: kgHa, tick: whole };
  const coverage = models.map((model) => skillLine(model, "coverage90")).concat(worst);
  const legend = [
    ...models.map((model) => [model, modelName(model)]),
    ...(worst.points.length ? [["worst", `${modelName("forecast")}: ${t("worst year")}`]] : []),
  ];
  if (DATA.skill.hindcasts) return [...leftOut, ...hindcastSkill(years)];
  return [
    el(
      "p",
      {},
      tn(
        "Forecasts recomputed for the harvest of {years} with only what was public on each date; means are weighted by number of municipalities. Baselines on the same dates are shown for comparison.",
        "Forecasts recomputed for harvests {years} with only what was public on each date; means are weighted by number of municipalities. Baselines on the same dates are shown for comparison.",
        years.length,
        { years: yearSpan(years) },
      ),
    ),
    ...leftOut,
    el(
      "ul",
      { class: "findings" },
      [
        beatsSentence("rmse_kg_ha", t("RMSE")),
        beatsSentence("crps_kg_ha", t("CRPS")),
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
        `${t("RMSE")}, kg/ha`,
        t("typical error"),
        models.map((model) => skillLine(model, "rmse_kg_ha")),
        asNumber,
      ),
      skillChart(
        `${t("CRPS")}, kg/ha`,
        t("error of the whole distribution"),
        models.map((model) => skillLine(model, "crps_kg_ha")),
        asNumber,
      ),
      skillChart(
        t("Coverage of the {share} interval", { share: percent(0.9) }),
        t("share of outcomes inside; the target is {share}", { share: percent(0.9) }),
        coverage,
        {
          show: (v) => percent(v, 1),
          tick: (v) => percent(v),
          level: 0.9,
          ceiling: 1,
        },
      ),
    ),
    el("details", {}, el("summary", {}, t("All numbers as a table")), skillTable().node),
  ];
}
