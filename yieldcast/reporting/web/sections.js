// Sections of the page other than map and tables: header, headline, legend, season, method.
const cropName = () => word("crop", ABOUT.crop);
const season = () => `${ABOUT.harvest_year - 1}/${String(ABOUT.harvest_year).slice(2)}`;
const isSynthetic = () => Number(ABOUT.synthetic) !== 0;

function header(setLanguage) {
  const names = { en: "English", pt: "Português" };
  const switcher = el(
    "div",
    { class: "language", role: "group", "aria-label": t("language") },
    LANGUAGES.map((name) =>
      el(
        "button",
        {
          type: "button",
          lang: LOCALES[name],
          "data-lang": name,
          "aria-pressed": String(name === lang),
          onclick: () => setLanguage(name),
        },
        names[name],
      ),
    ),
  );
  const links = [
    ["map", "toMap"],
    ["parts", "toParts"],
    ["states", "toTables"],
    ["progress", "toSeason"],
    ["skill", "toSkill"],
    ["method", "toMethod"],
  ];
  const about = [
    word("country", ABOUT.country),
    t("season", { season: season() }),
    t("knownTo", { month: date(ABOUT.weather_known_to) }),
  ];
  return [
    el("a", { class: "skip", href: "#headline" }, t("skip")),
    isSynthetic() ? el("p", { class: "synthetic", role: "note" }, t("synthetic")) : "",
    ...DATA.notices[lang].map((text) => el("p", { class: "synthetic missing", role: "note" }, text)),
    el(
      "header",
      {},
      el(
        "div",
        { class: "wide top" },
        el(
          "div",
          {},
          el("h1", {}, t("title", { crop: cropName(), year: ABOUT.harvest_year })),
          el("p", { class: "as-of" }, t("asOf", { date: date(ABOUT.as_of) })),
          el("p", { class: "quiet" }, about.join(" · ")),
        ),
        switcher,
      ),
      el(
        "nav",
        { "aria-label": t("sections") },
        el(
          "ul",
          { class: "wide" },
          links.map(([id, key]) => el("li", {}, el("a", { href: `#${id}` }, t(key)))),
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
      el("h3", {}, label),
      el("p", { class: "value" }, value),
      el("p", { class: "quiet" }, note),
    );
  const direction = (value) => (value === null ? "" : value < 0 ? "down" : "up");
  const share5 = COUNTRY.mean5 ? COUNTRY.departure / COUNTRY.mean5 : null;
  return el(
    "section",
    { id: "headline", class: "wide", "aria-label": t("headline") },
    el(
      "div",
      { class: "cards" },
      card(t("median"), kgHa(COUNTRY.q3), `${t("interval90")}: ${range(COUNTRY.q0, COUNTRY.q6, "kg/ha")}`, "main"),
      card(
        t("departure"),
        el("span", { class: direction(COUNTRY.departure) }, signedKgHa(COUNTRY.departure)),
        [share5 === null ? "" : `${signedPercent(share5)}; `, t("meanIs", { value: kgHa(COUNTRY.mean5) })].join(""),
      ),
      card(
        t("change"),
        el("span", { class: direction(COUNTRY.change) }, signedKgHa(COUNTRY.change)),
        hasPrevious ? t("sinceBulletin", { date: date(DATA.previous) }) : t("noPrevious"),
      ),
      card(
        t("production"),
        tonnes(COUNTRY.t3),
        `${tonnes(COUNTRY.t0)} – ${tonnes(COUNTRY.t6)}; ${t("onArea", { area: hectares(COUNTRY.area) })}`,
      ),
      card(
        t("observed"),
        percent(COUNTRY.share),
        `${t("restScenarios")} (${word("scenarios", ABOUT.scenarios)}). ${t("places", { n: number(COUNTRY.count) })}`,
      ),
    ),
  );
}

// The classes of the layer as a coloured strip with their limits; the bar above a class is its number of
// municipalities.
function legend(node, { layer, breaks, colours, sizes, without, unknown }, name) {
  const kept = Math.max(breaks.indexOf(0), 0); // narrow screens show every other limit, always including this one
  const most = Math.max(...sizes, 1),
    note = t(layer.part ? "layerNote_part" : `layerNote_${name}`, { date: date(DATA.previous, "short") });
  const strip = colours.map((colour, k) => {
    const limits = [k ? layer.show(breaks[k - 1]) : "", k < breaks.length ? layer.show(breaks[k]) : ""].join(" – ");
    const bar = el("span", { class: "count" }),
      swatch = el("span", { class: "swatch" });
    bar.style.height = `${Math.round((26 * sizes[k]) / most)}px`;
    bar.style.background = swatch.style.background = colour;
    return el(
      "li",
      { title: `${limits}: ${t("histogram", { n: number(sizes[k]) })}` },
      bar,
      swatch,
      k < breaks.length ? el("span", { class: (k - kept) % 2 ? "limit minor" : "limit" }, layer.tick(breaks[k])) : "",
    );
  });
  const grey = el("span", { class: "swatch none" });
  grey.style.background = NO_FORECAST;
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
        `${t("noForecast")} (${number(without)})`,
        unknown ? `, ${t("notShown")} (${number(unknown)})` : "",
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
    years: ABOUT.scenario_years,
  };
  return [
    el("p", {}, observed ? t("seasonNow", filling) : t("seasonNone"), " ", observed ? t("seasonNote") : ""),
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
const pairs = (value) =>
  Object.entries(value)
    .map(([key, one]) => `${key}: ${typeof one === "object" ? JSON.stringify(one) : one}`)
    .join("; ");

function calibration() {
  const value = parsed(ABOUT.calibration);
  if (!value) return ABOUT.calibration || "–";
  const { years, ...rest } = value;
  const sentence = Array.isArray(years) ? t("calibrated", { years: yearSpan(years) }) : "";
  return [sentence, pairs(rest)].filter(Boolean).join("; ") || "–";
}

function inputs() {
  const value = parsed(ABOUT.inputs);
  return (value ? pairs(value) : ABOUT.inputs) || "–";
}

function methodSection() {
  const meanings = ["meansMedian", "meansInterval", "meansLow", "meansPublic", "meansProduction", "meansLimits"];
  const facts = [
    [t("factTitle"), ABOUT.title],
    [t("factAsOf"), date(ABOUT.as_of)],
    [t("factKnown"), date(ABOUT.weather_known_to)],
    [t("factLead"), `${number(ABOUT.lead_months)} (${t("leadAxis")})`],
    [t("factLast"), ABOUT.last_public_harvest_year],
    [t("factPrevious"), hasPrevious ? date(DATA.previous) : "–"],
    [t("factScenarios"), `${word("scenarios", ABOUT.scenarios)} (${ABOUT.scenario_years})`],
    [t("factMembers"), number(ABOUT.members)],
    [t("factTrain"), ABOUT.train_years],
    [t("factRun"), `${ABOUT.run} (${ABOUT.run_id})`],
    [t("factCalibration"), calibration()],
    [t("factInputs"), inputs()],
    [t("factMade"), ABOUT.made_with],
    [t("factLicence"), ABOUT.licence],
    [t("factAttribution"), ABOUT.attribution],
  ];
  return el(
    "div",
    { class: "two" },
    el(
      "div",
      {},
      el("h3", {}, t("meansTitle")),
      el(
        "ul",
        { class: "meanings" },
        meanings.map((key) => {
          const [term, ...rest] = t(key, { year: ABOUT.last_public_harvest_year }).split(": ");
          return el("li", {}, el("strong", {}, `${term}: `), rest.join(": "));
        }),
      ),
    ),
    el(
      "div",
      {},
      el("h3", {}, t("factsTitle")),
      el(
        "dl",
        { class: "facts" },
        facts.map(([label, value]) => entry(label, String(value))),
      ),
    ),
  );
}
