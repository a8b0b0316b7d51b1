// Layers of the map, their palettes and classes. The lightness of sequential palettes rises or falls steadily; that
// of the diverging one falls to both sides of zero. All classes, and the grey of "no forecast", can be told apart
// with all three kinds of colour blindness (the tests simulate them after Machado et al. 2009).
const VIRIDIS = [
  "#440154",
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];
// reversed: wide intervals are dark
const MAGMA = ["#fcfdbf", "#fec98d", "#fd9567", "#f1605d", "#cd4071", "#9f2f7f", "#721f81", "#440f76", "#180f3d"];
const YLORBR = ["#fff7bc", "#fee391", "#fec44f", "#fe9929", "#ec7014", "#cc4c02", "#993404", "#662506"];
// no pale middle, which would look like the grey
const ORBU = ["#5a2a04", "#9c4a08", "#d9821f", "#f9c36b", "#8ec4ea", "#4a93cf", "#1f63a8", "#08306b"];

// Layers: label and note (texts), value(municipality), palette, unit, show(value) for texts, tick(value) for the legend. A diverging layer has
// zero in the middle of its palette.
const LAYERS = {
  median: {
    label: () => t("Median yield"),
    note: () => t("half of the outcomes lie above, half below"),
    value: (p) => p.q3,
    palette: VIRIDIS,
    show: kgHa,
    tick: (v) => number(v),
    unit: "kg/ha",
  },
  change: {
    label: () => t("Change from the previous bulletin"),
    note: () => t("this bulletin minus that of {date}", { date: date(DATA.previous, "short") }),
    value: (p) => p.change,
    palette: ORBU,
    show: signedKgHa,
    tick: (v) => number(v, 0, true),
    unit: "kg/ha",
    diverging: true,
  },
  departure: {
    label: () => t("Departure from the five-year mean"),
    note: () => t("median minus the mean of the five newest public harvests"),
    value: (p) => p.departure,
    palette: ORBU,
    show: signedKgHa,
    tick: (v) => number(v, 0, true),
    unit: "kg/ha",
    diverging: true,
  },
  low: {
    label: () => t("Probability of a low yield"),
    note: () => t("a yield in the lowest third of the municipality's last ten public years"),
    value: (p) => p.low,
    palette: YLORBR,
    show: percent,
    tick: (v) => number(v * 100),
    unit: "%",
    breaks: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
  },
  width: {
    label: () => t("Width of the {share} interval", { share: percent(0.9) }),
    note: () => t("{high} quantile minus {low} quantile", { high: percent(0.95), low: percent(0.05) }),
    value: (p) => p.width,
    palette: MAGMA,
    show: kgHa,
    tick: (v) => number(v),
    unit: "kg/ha",
  },
};
// Two layers of `yieldcast risk`: the classes and costs that were asked for.
if (DATA.risk) {
  LAYERS.risk = {
    ...LAYERS.low,
    label: () => t("Risk: probability of a low yield"),
    note: () =>
      DATA.risk.border === null
        ? t("a yield in the lowest third of the municipality's own yields")
        : t("a yield below {border}", { border: kgHa(DATA.risk.border) }),
    value: (p) => p.p_low,
  };
  LAYERS.flag = {
    label: () => t("Risk: flag"),
    note: () => t("dark: flagged, because the probability is {share} or more", { share: percent(DATA.risk.flag_from) }),
    value: (p) => p.flag,
    palette: ["#fee391", "#993404"],
    show: (v) => (v >= 0.5 ? t("flag") : t("no flag")),
    tick: () => "",
    get unit() {
      return t("yes or no"); // in the language that is shown, which can change
    },
    breaks: [0.5],
  };
}
// A layer for every part but the level, which the others are added to.
for (const part of DATA.parts.places.slice(1)) {
  LAYERS[`part_${part}`] = { ...LAYERS.departure, part, value: (p) => p[`part_${part}`] };
}
const layerLabel = ({ part, label }) => (part ? t("Part: {part}", { part: partName(part) }) : label());
const layerNames = () => Object.keys(LAYERS).filter((name) => name !== "change" || hasPrevious);

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
// Colour at a position 0..1 of a palette, interpolated between its entries.
function shade(palette, share) {
  const at = Math.min(Math.max(share, 0), 1) * (palette.length - 1);
  const low = channels(palette[Math.floor(at)]),
    high = channels(palette[Math.ceil(at)]);
  const mixed = low.map((value, k) => Math.round(value + (high[k] - value) * (at - Math.floor(at))));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

// The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `rough`: steps for legends and axes.
function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.9999) * power;
}

// Limits between classes: round numbers over the middle 96 % of the values, so that extremes do not take up colours.
function classBreaks(layer, values) {
  if (layer.breaks) return layer.breaks;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  if (layer.diverging) {
    const largest = Math.max(Math.abs(at(0.02)), Math.abs(at(0.98)), 1);
    const step = Math.max(roundStep(largest / 4), 1);
    return [-4, -3, -2, -1, 0, 1, 2, 3, 4].map((k) => k * step).filter((v) => Math.abs(v) <= largest);
  }
  const low = at(0.02),
    high = at(0.98);
  const step = Math.max(roundStep(Math.max(high - low, 1) / 8), 1);
  const breaks = [];
  for (let limit = Math.ceil(low / step) * step; limit <= high; limit += step) breaks.push(limit);
  return breaks.length ? breaks : [low];
}

// Classes of a layer: limits, one colour and size per class, and the class of every shape (-1 without a number).
function classes(name) {
  const layer = LAYERS[name];
  const values = SHAPES.map((shape) => (shape.place ? layer.value(shape.place) : null));
  const known = values.filter((value) => value !== null && value !== undefined);
  const breaks = known.length ? classBreaks(layer, known) : [0];
  const count = breaks.length + 1;
  const colours = Array.from({ length: count }, (_, k) => shade(layer.palette, count > 1 ? k / (count - 1) : 0.5));
  const kinds = values.map((value) =>
    value === null || value === undefined ? -1 : breaks.filter((limit) => value >= limit).length,
  );
  const sizes = colours.map((_, k) => kinds.filter((kind) => kind === k).length);
  const without = SHAPES.filter((shape) => !shape.place).length;
  return { layer, breaks, colours, kinds, sizes, without, unknown: values.length - known.length - without };
}
