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
  if (!place) return [head, el("p", {}, t("noForecast"))];
  return [
    head,
    el(
      "dl",
      {},
      entry(t("median"), kgHa(place.q3)),
      entry(t("interval90"), range(place.q0, place.q6, "kg/ha")),
      entry(t("colMean5"), kgHa(place.mean5)),
      entry(t("last"), kgHa(place.last)),
      hasPrevious ? entry(t("colChange"), signedKgHa(place.change)) : "",
      entry(t("low"), percent(place.low)),
      entry(t("colObserved"), percent(place.share)),
      entry(t("area"), hectares(place.area)),
    ),
  ];
}

// Fills the panel with one municipality ({code, name, state, place}); without one, with a hint and the country.
function fillPanel(panel, chosen, actions) {
  if (!chosen) {
    panel.replaceChildren(
      el("h3", {}, t("details")),
      el("p", { class: "quiet" }, t("choose")),
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
    el("a", { class: "button", href: addressOf(chosen.code) }, t("linkHere")),
    actions.show ? el("button", { type: "button", onclick: actions.show }, t("showOnMap")) : "",
    el("button", { type: "button", onclick: actions.close }, t("close")),
  );
  const head = [el("h3", { id: "chosen", tabindex: "-1" }, chosen.name), el("p", { class: "quiet" }, placeOf(chosen))];
  panel.replaceChildren(...head, buttons, ...(place ? numbersOf(place) : [el("p", {}, t("noForecastLong"))]));
}

const placeOf = ({ state, place, code }) =>
  [STATE_NAMES[state] ?? state, place?.region, `IBGE ${code}`].filter(Boolean).join(" · ");

const baselineList = (row) =>
  el(
    "dl",
    { class: "baselines" },
    Object.entries(BASELINES)
      .filter(([key]) => row[key] !== undefined)
      .map(([key, label]) =>
        entry(
          [sign(key), t(label)],
          [
            kgHa(row[key]),
            row[key] === null ? "" : el("span", { class: "quiet" }, ` (${number(row.q3 - row[key], 0, true)})`),
          ],
        ),
      ),
  );

function numbersOf(place) {
  const observed = el("span", { class: "with-bar" }, percent(place.share), share(place.share));
  return [
    el("p", { class: "big" }, kgHa(place.q3), el("span", { class: "quiet" }, ` ${t("median").toLowerCase()}`)),
    fan(place, place.name),
    baselineList(place),
    ...pastChart(place, place.name),
    ...bulletinsOfPanel(place, place.name),
    ...partsOfPanel(place, place.name),
    place.own ? "" : el("p", { class: "note" }, t("notOwn")),
    el(
      "dl",
      {},
      entry(t("interval90"), range(place.q0, place.q6, "kg/ha")),
      entry(t("intervalOf", { share: percent(0.8) }), range(place.q1, place.q5, "kg/ha")),
      entry(t("intervalOf", { share: percent(0.5) }), range(place.q2, place.q4, "kg/ha")),
      entry(t("mean"), kgHa(place.mean)),
      hasPrevious ? entry(t("colChange"), signedKgHa(place.change)) : "",
      entry(t("low"), percent(place.low)),
      entry(t("threshold"), kgHa(place.threshold)),
      entry(t("area"), hectares(place.area)),
      entry(
        t("production"),
        place.t3 === null ? "–" : `${tonnes(place.t3)} (${tonnes(place.t0)} – ${tonnes(place.t6)})`,
      ),
      entry(t("windowDates"), span(place.start, place.end)),
      entry(t("colObserved"), observed),
      entry(t("rain"), place.rain === null ? "–" : t("ofNormal", { value: percent(place.rain / 100) })),
      entry(t("tmaxAnomaly"), withUnit(number(place.tmax, 1, true), "°C")),
    ),
  ].filter(Boolean);
}
