// Sections of the page other than map and tables: header, headline, legend, season, method.
const cropName = () => capital(word("crop", ABOUT.crop));
const scenarioYears = () => word("scenario_years", ABOUT.scenario_years);
const isSynthetic = () => Number(ABOUT.synthetic) !== 0;

function header(setLanguage) {
  const switcher = el(
    "div",
    { class: "language", role: "group", "aria-label": t("Language") },
    LANGUAGES.map((one) =>
      el(
        "button",
        {
          type: "button",
          lang: one.locale,
          "data-lang": one.tag,
          "aria-pressed": String(one === language),
          onclick: () => setLanguage(one),
        },
        one.name,
      ),
    ),
  );
  const links = [
    ["map", t("Map")],
    ["parts", t("Parts")],
    ["states", t("Tables")],
    ["progress", t("Season so far")],
    ["skill", t("Skill so far")],
    ["method", t("Method")],
  ];
  const about = [
    word("country", ABOUT.country),
    t("season {season}", { season: DATA.season }),
    t("weather known to {month}", { month: date(ABOUT.weather_known_to) }),
  ];
  return [
    el("a", { class: "skip", href: "#headline" }, t("Skip to the numbers")),
    el(
      "header",
      {},
      isSynthetic()
        ? el(
            "p",
            { class: "synthetic", role: "note" },
            t("Synthetic data. Every number below is made up to show or test the report: no real harvest is forecast."),
          )
        : "",
      DATA.notices[language.tag].map((text) => el("p", { class: "synthetic", role: "note" }, text)),
      el(
        "div",
        { class: "wide top" },
        el(
          "div",
          {},
          el("h1", {}, t("{crop}: yield forecast, harvest {year}", { crop: cropName(), year: ABOUT.harvest_year })),
          el("p", { class: "as-of" }, t("As of {date}", { date: date(ABOUT.as_of) })),
          el("p", { class: "quiet" }, about.join(" · ")),
        ),
        el("div", { class: "switches" }, themeSwitch(), switcher),
      ),
      el(
        "nav",
        { "aria-label": t("Sections") },
        el(
          "ul",
          { class: "wide" },
          links.map(([id, label]) => el("li", {}, el("a", { href: `#${id}` }, label))),
        ),
      ),
    ),
  ];
}

function headline() {
  const card = (label, value, note, kind = "") =>
    el(
      "div",
      { class: `card ${kind}` },
      el("h2", {}, label),
      el("p", { class: "value" }, value),
      el("p", { class: "quiet" }, note),
    );
  const direction = (value) => (value === null ? "" : value < 0 ? "down" : "up");
  const share5 = COUNTRY.mean5 ? COUNTRY.departure / COUNTRY.mean5 : null;
  return el(
    "section",
    { id: "headline", class: "wide", "aria-label": t("Headline") },
    el(
      "div",
      { class: "cards" },
      card(
        t("Median yield"),
        kgHa(COUNTRY.q3),
        `${intervalName(0.9)}: ${range(COUNTRY.q0, COUNTRY.q6, "kg/ha")}`,
        "main",
      ),
      card(
        t("Departure from the five-year mean"),
        el("span", { class: direction(COUNTRY.departure) }, signedKgHa(COUNTRY.departure)),
        [
          share5 === null ? "" : `${signedPercent(share5)}; `,
          t("mean of five public years {value}", { value: kgHa(COUNTRY.mean5) }),
        ].join(""),
      ),
      card(
        t("Change from the previous bulletin"),
        el("span", { class: direction(COUNTRY.change) }, signedKgHa(COUNTRY.change)),
        hasPrevious
          ? t("bulletin of {date}", { date: date(DATA.previous) })
          : t("first bulletin: nothing to compare with"),
      ),
      card(
        t("Production"),
        tonnes(COUNTRY.t3),
        `${tonnes(COUNTRY.t0)} – ${tonnes(COUNTRY.t6)}; ${t("if the last public area, {area}, is planted", { area: hectares(COUNTRY.area) })}`,
      ),
      card(
        t("Share of the season observed"),
        percent(COUNTRY.share),
        `${t("the rest: weather scenarios")} (${word("scenarios", ABOUT.scenarios)}). ${tn("{n} municipality", "{n} municipalities", COUNTRY.count)}`,
      ),
    ),
  );
}

// The classes of the layer as a coloured strip with their limits; the bar above a class is its number of
// municipalities.
function legend(node, { layer, breaks, colours, sizes, without, unknown }, name) {
  const kept = Math.max(breaks.indexOf(0), 0); // narrow screens show every other limit, always including this one
  const most = Math.max(...sizes, 1),
    note = layer.part ? t("what this part adds to the median") : layer.note();
  const strip = colours.map((colour, k) => {
    const limits = [k ? layer.show(breaks[k - 1]) : "", k < breaks.length ? layer.show(breaks[k]) : ""].join(" – ");
    const bar = el("span", { class: "count" }),
      swatch = el("span", { class: "swatch" });
    bar.style.height = `${Math.round((26 * sizes[k]) / most)}px`;
    bar.style.background = swatch.style.background = colour;
    return el(
      "li",
      { title: `${limits}: ${tn("{n} municipality", "{n} municipalities", sizes[k])}` },
      bar,
      swatch,
      k < breaks.length ? el("span", { class: (k - kept) % 2 ? "limit minor" : "limit" }, layer.tick(breaks[k])) : "",
    );
  });
  const grey = el("span", { class: "swatch none" });
  grey.style.background = mapInks().none;
  node.replaceChildren(
    el("p", {}, el("strong", {}, layerLabel(layer)), ` (${layer.unit})`, el("span", { class: "quiet" }, ` ${note}`)),
    el(
      "div",
      { class: "legend-row" },
      el("ul", { class: "strip" }, strip),
      el(
        "p",
        { class: "without" },
        grey,
        `${t("no forecast")} (${number(without)})`,
        unknown ? `, ${t("not known")} (${number(unknown)})` : "",
      ),
    ),
  );
}

function seasonSection() {
  const observed = COUNTRY.share > 0;
  const filling = {
    share: percent(COUNTRY.share),
    rest: percent(1 - COUNTRY.share),
    scenarios: word("scenarios", ABOUT.scenarios),
    years: scenarioYears(),
  };
  return [
    el(
      "p",
      {},
      observed
        ? t("{share} of the season is observed, {rest} comes from scenarios ({scenarios}, {years}).", filling)
        : t("No month of the season is public yet: the forecast rests on weather scenarios alone."),
      " ",
      observed
        ? t(
            "Of the months that are public: rain as a share of the mean of the known years, maximum temperature as a departure from it; means weighted by planted area. Windows run from the earliest start to the latest end within the state.",
          )
        : "",
    ),
    seasonTable().node,
  ];
}

// The object in a text that holds JSON, otherwise null.
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

// How the quantiles were calibrated, in one sentence; the numbers are in forecast.nc.
function calibration() {
  const { years, record_years: record } = parsed(ABOUT.calibration) ?? {};
  if (!Array.isArray(years)) return parsed(ABOUT.calibration) ? "–" : ABOUT.calibration || "–";
  const span = yearSpan(years);
  const filling = { years: span, record };
  if (!record) return tn("on {n} harvest left out: {years}", "on {n} harvests left out: {years}", years.length, filling);
  return tn(
    "on {n} harvest left out ({years}) and a record of {record} years",
    "on {n} harvests left out ({years}) and a record of {record} years",
    years.length,
    filling,
  );
}

const meanings = () => [
  [t("Median"), t("half of the outcomes are expected above it and half below.")],
  [
    intervalName(0.9),
    t(
      "if the past is a guide, nine harvests in ten fall inside it and one in twenty below it. It holds for one municipality or one state; the errors of neighbours are correlated, so in a bad year far more than one in ten fall outside.",
    ),
  ],
  [
    t("Low"),
    t(
      "a yield in the lowest third of the municipality's last ten public yields. Without any information the probability would be near one third.",
    ),
  ],
  [
    t("Public"),
    t(
      "published on the date of the forecast. Municipal yields come out in the year after the harvest, so the newest public harvest here is {year}.",
      {
        year: ABOUT.last_public_harvest_year,
      },
    ),
  ],
  [t("Production"), t("forecast yield on the last public planted area. The area itself is not forecast.")],
  [
    t("Limits"),
    t(
      "the forecast uses weather, place and past yields. It does not know pests, prices, floods of single fields, new varieties or changes of area, and a season unlike all known years is unlike anything that it was trained on.",
    ),
  ],
];

function methodSection() {
  const facts = [
    [t("Title"), language.title],
    [t("As of"), date(ABOUT.as_of)],
    [t("Weather known to"), date(ABOUT.weather_known_to)],
    [t("Lead"), `${number(ABOUT.lead_months)} (${t("months to harvest")})`],
    [t("Newest public harvest"), ABOUT.last_public_harvest_year],
    [t("Previous bulletin"), hasPrevious ? date(DATA.previous) : "–"],
    [t("Weather scenarios"), `${word("scenarios", ABOUT.scenarios)} (${scenarioYears()})`],
    [t("Ensemble members"), number(ABOUT.members)],
    [t("Trained on harvests"), ABOUT.train_years],
    [t("Run"), `${ABOUT.run} (${ABOUT.run_id})`],
    [t("Calibration"), calibration()],
    [t("Made with"), ABOUT.made_with],
    [t("Licence"), word("licence", ABOUT.licence)],
    [t("Data and attribution"), word("attribution", ABOUT.attribution)],
  ];
  return el(
    "div",
    { class: "two" },
    el(
      "div",
      {},
      el("h3", {}, t("What the numbers mean")),
      el(
        "ul",
        { class: "meanings" },
        meanings().map(([term, text]) => el("li", {}, el("strong", {}, `${term}: `), text)),
      ),
    ),
    el(
      "div",
      {},
      el("h3", {}, t("Facts of this bulletin")),
      el(
        "dl",
        { class: "facts" },
        facts.map(([label, value]) => entry(label, String(value))),
      ),
    ),
  );
}
