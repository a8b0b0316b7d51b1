// The whole page: rebuilt when the language changes; map, layer and chosen municipality are kept.
const state = { chosen: null, layer: "median" };
const map = SHAPES.length ? new MunicipalMap() : null;
const panel = el("aside", { id: "panel" });
const legendNode = el("div", { class: "legend" });

function choose(found, { zoom = false, focus = false, fromAddress = false } = {}) {
  state.chosen = found;
  if (!fromAddress) showInAddress(found);
  if (map) map.choose(found?.code, zoom);
  const onMap = found && map?.byCode.has(found.code);
  const show = () => {
    map.choose(found.code, true);
    map.node.scrollIntoView({ block: "center" });
  };
  const close = () => {
    choose(null);
    document.getElementById("search").focus({ preventScroll: true });
  };
  fillPanel(panel, found, { close, show: onMap ? show : null });
  if (focus) document.getElementById("chosen")?.focus({ preventScroll: true });
}

function setLayer(name) {
  state.layer = name;
  map.setLayer(name);
  legend(legendNode, map.classes, name);
}

function mapSection() {
  if (!map)
    return [
      el("p", { class: "note" }, t("There is no map: no boundaries of municipalities were given.")),
      searchBox((found) => choose(found, { focus: true })),
      panel,
    ];
  const select = el(
    "select",
    { id: "layer" },
    layerNames().map((name) => el("option", { value: name, selected: name === state.layer }, layerLabel(LAYERS[name]))),
  );
  select.addEventListener("change", () => setLayer(select.value));
  const zoom = (key, label, act) =>
    el(
      "button",
      {
        type: "button",
        "data-zoom": key,
        "aria-label": label,
        title: label,
        onclick: () => {
          act();
          map.moved();
        },
      },
      key === "all" ? "⤢" : key === "in" ? "+" : "−",
    );
  const buttons = el(
    "div",
    { class: "zoom" },
    zoom("in", t("Zoom in"), () => map.view.zoom(1.7)),
    zoom("out", t("Zoom out"), () => map.view.zoom(1 / 1.7)),
    zoom("all", t("Whole country"), () => map.view.reset()),
  );
  map.node.querySelector(".zoom")?.remove();
  map.node.append(buttons);
  map.base.setAttribute(
    "aria-label",
    t(
      "Map of municipalities. Arrow keys move it, plus and minus zoom, 0 shows the whole country, Enter opens the municipality in the centre.",
    ),
  );
  legend(legendNode, map.classes, state.layer);
  const undrawn = PLACES.filter((place) => !map.byCode.has(place.code));
  return [
    el(
      "div",
      { class: "map-tools" },
      el("div", { class: "layer" }, el("label", { for: "layer" }, t("Show")), select),
      searchBox((found) => choose(found, { zoom: true, focus: true })),
      legendNode,
    ),
    el(
      "div",
      { class: "map-and-panel" },
      el(
        "div",
        {},
        map.node,
        el(
          "div",
          { class: "under-map" },
          el(
            "p",
            { class: "quiet hint" },
            t("Point at a municipality for its numbers, choose it for details. Wheel or pinch to zoom, drag to move."),
          ),
          downloadButton(t("Map (PNG)"), () =>
            mapPicture().toBlob((blob) => save(fileName(`map-${state.layer}`, "png"), blob)),
          ),
        ),
        undrawn.length
          ? el(
              "p",
              { class: "note" },
              t("{n} municipalities have a forecast and no boundaries, so they are in the tables only: {names}", {
                n: number(undrawn.length),
                names: undrawnNames(undrawn),
              }),
            )
          : "",
      ),
      panel,
    ),
  ];
}
const undrawnNames = (places) =>
  places
    .slice(0, 12)
    .map((place) => `${place.name} (${place.state})`)
    .join(", ") + (places.length > 12 ? " …" : "");

function render() {
  document.documentElement.lang = language.locale;
  document.title = language.title;
  const section = (id, title, ...children) =>
    el(
      "section",
      { id, class: "wide", "aria-labelledby": `${id}-title` },
      el("h2", { id: `${id}-title` }, title),
      ...children,
    );
  const fromTable = (place) => {
    choose(place ? { code: place.code, name: place.name, state: place.state, place } : null, {
      zoom: true,
      focus: true,
    });
    document.getElementById("map").scrollIntoView();
  };
  document
    .getElementById("report")
    .replaceChildren(
      ...header(setLanguage).filter(Boolean),
      el(
        "main",
        {},
        headline(),
        section("map", t("Map of municipalities"), mapSection()),
        section("parts", t("What the median is made of"), partsSection()),
        section(
          "states",
          t("Country and states"),
          el(
            "p",
            {},
            t(
              "Weighted by planted area. A state's interval is computed for the state as a whole: it is not the sum of its municipalities' intervals, because the errors of neighbours are correlated.",
            ),
          ),
          aggregatesTable().node,
        ),
        section("municipalities", t("Municipalities"), placesTable(fromTable).node),
        section("progress", t("Season so far"), seasonSection()),
        section("skill", t("Skill so far"), skillSection()),
        section("method", t("How this was made"), methodSection()),
      ),
      el(
        "footer",
        { class: "wide quiet" },
        `${ABOUT.made_with} · ${word("licence", ABOUT.licence)} · ${t("This file holds everything it shows and opens no connection.")}`,
      ),
    );
  choose(state.chosen, { fromAddress: true });
}

function setLanguage(chosen) {
  language = chosen;
  render();
  document.querySelector(`[data-lang="${chosen.tag}"]`).focus();
}

language = LANGUAGES.find((one) => one.tag === DATA.lang);
startTheme();
render();
if (map) {
  listen(map, (shape, focus) => choose(shape, { focus }));
  map.fit();
}
if (placeInAddress()) {
  followAddress();
  document.getElementById("map").scrollIntoView();
}
window.addEventListener("popstate", followAddress);
const probe = el("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
// For tests and debugging, see README.md.
window.yieldcastReport = {
  polygons: SHAPES.length,
  codes: SHAPES.map((shape) => shape.code),
  get drawn() {
    return map?.drawn ?? 0;
  },
  get layer() {
    return state.layer;
  },
  get zoom() {
    return map ? map.view.scale / map.view.whole : 1;
  },
  palettes: Object.fromEntries(layerNames().map((name) => [name, map ? classes(name).colours : []])),
  get noForecast() {
    return mapInks().none;
  },
  at(code) {
    const frame = map.base.getBoundingClientRect(),
      [x, y] = map.view.toPixel(...innerPoint(map.byCode.get(code)));
    return { x: frame.left + x, y: frame.top + y };
  },
  colourAt(code) {
    const pixel = map.view.toPixel(...innerPoint(map.byCode.get(code))).map((v) => Math.floor(v * map.density));
    probe.drawImage(map.base, ...pixel, 1, 1, 0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  },
  classColour(code) {
    const kind = map.classes.kinds[SHAPES.findIndex((shape) => shape.code === code)];
    return channels(kind < 0 ? mapInks().none : map.classes.colours[kind]);
  },
  readyMs: performance.now(),
};
document.documentElement.dataset.ready = "1";
