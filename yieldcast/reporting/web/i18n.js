// Texts in the language that is shown. The page carries a catalogue for each language (html_language.py); the English
// text is the key, and English has no catalogue.
const DATA = JSON.parse(document.getElementById("data").textContent);
const LANGUAGES = DATA.languages;
let language = LANGUAGES[0];

const filled = (text, filling) => text.replace(/\{(\w+)\}/g, (_, name) => String(filling[name]));

// The translation of an English text; filling gives the values of its {name}.
function t(text, filling = {}) {
  const found = language.messages ? language.messages[text] : text;
  if (found === undefined) throw new Error(`no translation of ${text}`);
  return filled(found, filling);
}

// In the singular or plural for n (0 or more), which fills {n}.
function tn(one, many, n, filling = {}) {
  const form = language.plurals[n < language.plurals.length ? n : 100 + (n % 100)];
  const forms = language.messages ? language.messages[one] : [one, many];
  if (forms === undefined) throw new Error(`no translation of ${one}`);
  return filled(forms[form], { n: number(n), ...filling });
}

// The reader's name of a crop, country, model, part or kind of scenarios; unknown ones are returned unchanged.
const word = (kind, value) => language.words[kind][value] ?? String(value);
