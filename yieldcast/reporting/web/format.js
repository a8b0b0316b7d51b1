// Makes elements, texts, numbers and dates. All text is added as text nodes: nothing is parsed as HTML.
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
function number(value, digits = 0, signed = false, style = "decimal") {
  if (value === null || value === undefined) return "–";
  const key = `${language.tag} ${digits} ${signed} ${style}`;
  if (!formats.has(key)) {
    const options = { style, minimumFractionDigits: digits, maximumFractionDigits: digits };
    if (signed) options.signDisplay = "exceptZero";
    formats.set(key, new Intl.NumberFormat(language.locale, options));
  }
  return formats.get(key).format(value).replace("-", "−");
}
const withUnit = (text, unit) => (text === "–" ? text : `${text}\u00a0${unit}`);
const kgHa = (value) => withUnit(number(value), "kg/ha");
const signedKgHa = (value) => withUnit(number(value, 0, true), "kg/ha");
const percent = (share, digits = 0) => number(share, digits, false, "percent");
const signedPercent = (share, digits = 1) => number(share, digits, true, "percent");
const intervalName = (share) => t("{share} interval", { share: percent(share) });
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const hectares = (value) => withUnit(number(value), "ha");
const range = (low, high, unit) => t("{low} to {high}", { low: number(low), high: withUnit(number(high), unit) });

function tonnes(value) {
  if (value === null) return "–";
  return value >= 1e6 ? withUnit(number(value / 1e6, 1), "Mt") : withUnit(number(value), "t");
}

// A day (2017-11-15) or a month (2017-10); any other text is returned unchanged. Months are in words, and in English
// also those of days, because 11/15 and 15/11 are both in use there; other languages write days in digits.
function date(text, style = "long") {
  const found = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(text ?? "");
  if (!found) return String(text ?? "");
  const digits = found[3] && language.tag !== "en";
  const options = { timeZone: "UTC", year: "numeric", month: digits ? "2-digit" : style };
  if (found[3]) options.day = digits ? "2-digit" : "numeric";
  const day = Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3] ?? 1));
  return new Intl.DateTimeFormat(language.locale, options).format(day);
}
// From one day to another; by months if both are whole.
function span(start, end) {
  if (!start || !end) return "–";
  const after = new Date(`${end}T00:00:00Z`).getTime() + 24 * 3600 * 1000;
  const whole = start.endsWith("-01") && new Date(after).getUTCDate() === 1;
  return [start, end].map((day) => date(whole ? day.slice(0, 7) : day, "short")).join(" – ");
}
const months = (n) => tn("{n} month", "{n} months", n);
const plain = (text) => String(text).normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const difference = (a, b) => (a === null || b === null || a === undefined || b === undefined ? null : a - b);
