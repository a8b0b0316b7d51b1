// The numbers of one municipality: the short ones beside the pointer, all of them in the panel.
const line = (label, value) => el("div", {}, el("dt", {}, label), el("dd", {}, value));

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
      line(t("median"), kgHa(place.q3)),
      line(t("interval90"), range(place.q0, place.q6, "kg/ha")),
      line(t("colMean5"), kgHa(place.mean5)),
      line(t("last"), kgHa(place.last)),
      hasPrevious ? line(t("colChange"), signedKgHa(place.change)) : "",
      line(t("low"), percent(place.low)),
      line(t("colObserved"), percent(place.share)),
      line(t("area"), hectares(place.area)),
    ),
  ];
}

// Fills the panel with one municipality ({code, name, state, place}), or with what to do when there is none.
function fillPanel(panel, chosen, actions) {
  if (!chosen) {
    panel.replaceChildren(
      el("h3", {}, t("details")),
      el("p", { class: "quiet" }, t("choose")),
      el("h4", {}, aggregateName(COUNTRY)),
      fan(COUNTRY, aggregateName(COUNTRY)),
      references(COUNTRY),
    );
    return;
  }
  const { place } = chosen;
  const buttons = el(
    "p",
    { class: "buttons" },
    actions.show ? el("button", { type: "button", onclick: actions.show }, t("showOnMap")) : "",
    el("button", { type: "button", onclick: actions.close }, t("close")),
  );
  const head = [el("h3", { id: "chosen", tabindex: "-1" }, chosen.name), el("p", { class: "quiet" }, placeOf(chosen))];
  panel.replaceChildren(...head, ...(place ? numbersOf(place) : [el("p", {}, t("noForecastLong"))]), buttons);
}

const placeOf = ({ state, place, code }) =>
  [STATE_NAMES[state] ?? state, place?.region, `IBGE ${code}`].filter(Boolean).join(" · ");

const references = (row) =>
  el(
    "dl",
    { class: "refs" },
    Object.entries(REFERENCES)
      .filter(([key]) => row[key] !== undefined)
      .map(([key, label]) =>
        line(
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
    references(place),
    place.own ? "" : el("p", { class: "note" }, t("notOwn")),
    el(
      "dl",
      {},
      line(t("interval90"), range(place.q0, place.q6, "kg/ha")),
      line(t("intervalOf", { share: percent(0.8) }), range(place.q1, place.q5, "kg/ha")),
      line(t("intervalOf", { share: percent(0.5) }), range(place.q2, place.q4, "kg/ha")),
      line(t("mean"), kgHa(place.mean)),
      hasPrevious ? line(t("colChange"), signedKgHa(place.change)) : "",
      line(t("low"), percent(place.low)),
      line(t("threshold"), kgHa(place.threshold)),
      line(t("area"), hectares(place.area)),
      line(
        t("production"),
        place.t3 === null ? "–" : `${tonnes(place.t3)} (${tonnes(place.t0)} – ${tonnes(place.t6)})`,
      ),
      line(t("windowDates"), span(place.start, place.end)),
      line(t("colObserved"), observed),
      line(t("rain"), place.rain === null ? "–" : t("ofNormal", { value: percent(place.rain / 100) })),
      line(t("tmaxAnomaly"), withUnit(number(place.tmax, 1, true), "°C")),
    ),
  ].filter(Boolean);
}
