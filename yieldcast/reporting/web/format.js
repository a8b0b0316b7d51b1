// Makes elements, texts, numbers and dates. All text is added as text nodes: nothing is parsed as HTML.
let lang = "en";

function t(key, filling = {}) {
  const pair = TEXTS[key];
  if (!pair) throw new Error(`no text ${key}`);
  return pair[LANGUAGES.indexOf(lang)].replace(/\{(\w+)\}/g, (_, name) => String(filling[name]));
}

// The reader's name of a crop, country, model or kind of scenarios; unknown ones are returned unchanged.
function word(kind, value) {
  const key = `${kind}_${value}`;
  return Object.hasOwn(TEXTS, key) ? t(key) : String(value);
}

function build(make, name, attributes, children) {
  const node = make(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const el = (name, attributes = {}, ...children) =>
  build((tag) => document.createElement(tag), name, attributes, children);
const svg = (name, attributes = {}, ...children) =>
  build((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag), name, attributes, children);

const formats = new Map();
function number(value, digits = 0, signed = false) {
  if (value === null || value === undefined) return "–";
  const key = `${lang} ${digits} ${signed}`;
  if (!formats.has(key)) {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    if (signed) options.signDisplay = "exceptZero";
    formats.set(key, new Intl.NumberFormat(LOCALES[lang], options));
  }
  return formats.get(key).format(value).replace("-", "−");
}
const withUnit = (text, unit) => (text === "–" ? text : `${text}\u00a0${unit}`);
const kgHa = (value) => withUnit(number(value), "kg/ha");
const signedKgHa = (value) => withUnit(number(value, 0, true), "kg/ha");
const percent = (share, digits = 0) => withUnit(number(share === null ? null : share * 100, digits), "%");
const signedPercent = (share, digits = 1) => withUnit(number(share === null ? null : share * 100, digits, true), "%");
const hectares = (value) => withUnit(number(value), "ha");
const range = (low, high, unit) => t("to", { low: number(low), high: withUnit(number(high), unit) });

function tonnes(value) {
  if (value === null) return "–";
  return value >= 1e6 ? withUnit(number(value / 1e6, 1), "Mt") : withUnit(number(value), "t");
}

// A day (2017-11-15) or a month (2017-10) in words; any other text is returned unchanged.
function date(text, style = "long") {
  const found = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(text ?? "");
  if (!found) return String(text ?? "");
  const options = { timeZone: "UTC", year: "numeric", month: style };
  if (found[3]) options.day = "numeric";
  const day = Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3] ?? 1));
  return new Intl.DateTimeFormat(LOCALES[lang], options).format(day);
}
// From one day to another; by months if both are whole.
function span(start, end) {
  if (!start || !end) return "–";
  const after = new Date(`${end}T00:00:00Z`).getTime() + 24 * 3600 * 1000;
  const whole = start.endsWith("-01") && new Date(after).getUTCDate() === 1;
  return [start, end].map((day) => date(whole ? day.slice(0, 7) : day, "short")).join(" – ");
}
const months = (n) => (Math.abs(n) === 1 && n > 0 ? t("month1") : t("months", { n: number(n) }));
const plain = (text) => String(text).normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const difference = (a, b) => (a === null || b === null || a === undefined || b === undefined ? null : a - b);
