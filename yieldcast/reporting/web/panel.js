// The numbers of one municipality: a few beside the pointer, all of them in the panel.
const entry = (label, value) => el("div", {}, el("dt", {}, label), el("dd", {}, value));

function tipContent(shape) {
  const { place } = shape;
  const head = el(
    "p",
    { class: "tip-name" },
    shape.name,
    shape.state ? el("span", { class: "quiet" }, ` ${shape.state}`) : "",
  );
  if (!place) return [head, el("p", {}, t("no forecast"))];
  return [
    head,
    el(
      "dl",
      {},
      entry(t("Median yield"), kgHa(place.q3)),
      entry(intervalName(0.9), range(place.q0, place.q6, "kg/ha")),
      entry(t("Five-year mean"), kgHa(place.mean5)),
      entry(t("Last public yield"), kgHa(place.last)),
      hasPrevious ? entry(t("Change"), signedKgHa(place.change)) : "",
      entry(t("P(low yield)"), percent(place.low)),
      entry(t("Season observed"), percent(place.share)),
      entry(t("Planted area"), hectares(place.area)),
    ),
  ];
}

// Fills the panel with one municipality ({code, name, state, place}); without one, with a hint and the country.
function fillPanel(panel, chosen, actions) {
  if (!chosen) {
    panel.replaceChildren(
      el("h3", {}, t("Details")),
      el(
        "p",
        { class: "quiet" },
        t("Choose a municipality on the map or by name to see its forecast and its past yields."),
      ),
      el("h4", {}, aggregateName(COUNTRY)),
      fan(COUNTRY, aggregateName(COUNTRY)),
      baselineList(COUNTRY),
      ...pastChart(COUNTRY, aggregateName(COUNTRY)),
      ...bulletinsOfPanel(COUNTRY, aggregateName(COUNTRY)),
      ...partsOfPanel(COUNTRY, aggregateName(COUNTRY)),
    );
    return;
  }
  const { place } = chosen;
  const buttons = el(
    "p",
    { class: "buttons" },
    el("a", { href: addressOf(chosen.code) }, t("Link to this municipality")),
    actions.show ? el("button", { type: "button", onclick: actions.show }, t("Show on the map")) : "",
    el("button", { type: "button", onclick: actions.close }, t("Close")),
  );
  const head = [el("h3", { id: "chosen", tabindex: "-1" }, chosen.name), el("p", { class: "quiet" }, placeOf(chosen))];
  panel.replaceChildren(
    ...head,
    buttons,
    ...(place ? numbersOf(place) : [el("p", {}, t("No forecast: no public yield of this crop, or no weather."))]),
  );
}

const placeOf = ({ state, place, code }) =>
  [STATE_NAMES[state] ?? state, place?.region, `${word("code", "")} ${place?.label ?? code}`].filter(Boolean).join(" · ");

const baselineList = (row) =>
  el(
    "dl",
    { class: "baselines" },
    Object.entries(BASELINES)
      .filter(([key]) => row[key] !== undefined)
      .map(([key, label]) =>
        entry(
          [sign(key), label()],
          [
            kgHa(row[key]),
            row[key] === null ? "" : el("span", { class: "quiet" }, ` (${number(row.q3 - row[key], 0, true)})`),
          ],
        ),
      ),
  );

const mappedArea = ({ map_area, map_error }) =>
  map_error === null ? hectares(map_area) : `${number(map_area)} ± ${hectares(map_error)}`;

function numbersOf(place) {
  const observed = el("span", { class: "with-bar" }, percent(place.share), share(place.share));
  return [
    el("p", { class: "big" }, kgHa(place.q3), el("span", { class: "quiet" }, ` ${t("Median yield").toLowerCase()}`)),
    fan(place, place.name),
    baselineList(place),
    ...pastChart(place, place.name),
    ...bulletinsOfPanel(place, place.name),
    ...partsOfPanel(place, place.name),
    place.own
      ? ""
      : el(
          "p",
          { class: "note" },
          t("The municipality has too few public yields of its own: the baselines are those of its state."),
        ),
    el(
      "dl",
      {},
      entry(intervalName(0.9), range(place.q0, place.q6, "kg/ha")),
      entry(t("{share} interval", { share: percent(0.8) }), range(place.q1, place.q5, "kg/ha")),
      entry(t("{share} interval", { share: percent(0.5) }), range(place.q2, place.q4, "kg/ha")),
      entry(t("Mean of the forecast"), kgHa(place.mean)),
      hasPrevious ? entry(t("Change"), signedKgHa(place.change)) : "",
      entry(t("P(low yield)"), percent(place.low)),
      entry(t("Low below"), kgHa(place.threshold)),
      entry(t("Planted area"), hectares(place.area)),
      place.map_area === undefined ? "" : entry(t("Area in the map"), mappedArea(place)),
      entry(
        t("Production"),
        place.t3 === null ? "–" : `${tonnes(place.t3)} (${tonnes(place.t0)} – ${tonnes(place.t6)})`,
      ),
      entry(t("Window"), span(place.start, place.end)),
      entry(t("Season observed"), observed),
      entry(t("Rain so far"), place.rain === null ? "–" : t("{value} of normal", { value: percent(place.rain / 100) })),
      entry(t("Max. temperature, anomaly"), withUnit(number(place.tmax, 1, true), "°C")),
    ),
  ].filter(Boolean);
}
