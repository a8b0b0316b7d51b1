// Finds a municipality by name, with or without accents: a text field with a list under it (ARIA combobox).
const MOST_FOUND = 12;

// Every municipality of the mesh, and those with a forecast that are not in the mesh.
const FINDABLE = [
  ...SHAPES.map(({ code, name, state, place }) => ({ code, name, state, place })),
  ...PLACES.filter((place) => !SHAPES.some((shape) => shape.place === place)).map((place) => ({
    code: place.code,
    name: place.name,
    state: place.state,
    place,
  })),
].map((found) => ({ ...found, plain: plain(found.name) }));

// Names that begin with the text come first, then names with a word that begins with it, then the rest.
function find(text) {
  const wanted = plain(text).trim();
  if (!wanted) return [];
  const rank = ({ plain: name, code }) => {
    if (name.startsWith(wanted)) return 0;
    if (name.includes(` ${wanted}`) || String(code) === wanted) return 1;
    return name.includes(wanted) ? 2 : 3;
  };
  const ranked = FINDABLE.map((found) => ({ found, rank: rank(found) })).filter((one) => one.rank < 3);
  ranked.sort((a, b) => a.rank - b.rank || a.found.plain.localeCompare(b.found.plain) || a.found.code - b.found.code);
  return ranked.map((one) => one.found);
}

function searchBox(onChoose) {
  const input = el("input", {
    id: "search",
    type: "search",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": "found",
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: t("Type a name, with or without accents"),
  });
  const list = el("ul", { id: "found", role: "listbox", "aria-label": t("Find a municipality"), hidden: true });
  const said = el("p", { class: "unseen", "aria-live": "polite" });
  let shown = [],
    active = -1;

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
  function mark(next) {
    active = next;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === active)));
    if (active < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `found-${active}`);
    list.children[active].scrollIntoView({ block: "nearest" });
  }
  function choose(found) {
    input.value = `${found.name} (${found.state})`;
    close();
    onChoose(found);
  }
  function open() {
    const every = find(input.value);
    shown = every.slice(0, MOST_FOUND);
    list.replaceChildren(
      ...shown.map((found, i) =>
        el(
          "li",
          {
            id: `found-${i}`,
            role: "option",
            "aria-selected": "false",
            onpointerdown: (event) => {
              event.preventDefault();
              choose(found);
            },
          },
          el("span", {}, found.name),
          el("span", { class: "quiet" }, found.state),
          el("span", { class: "end" }, found.place ? kgHa(found.place.q3) : t("no forecast")),
        ),
      ),
    );
    list.hidden = !shown.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    said.textContent = input.value.trim()
      ? every.length
        ? tn("{n} found", "{n} found", every.length)
        : t("none found")
      : "";
    mark(shown.length ? 0 : -1);
  }
  const keys = {
    ArrowDown: () => (list.hidden ? open() : mark((active + 1) % shown.length)),
    ArrowUp: () => {
      if (!list.hidden) mark((active - 1 + shown.length) % shown.length);
    },
    Enter: () => {
      if (!list.hidden && active >= 0) choose(shown[active]);
    },
    Escape: close,
  };
  input.addEventListener("input", open);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  return el("div", { class: "search" }, el("label", { for: "search" }, t("Find a municipality")), input, list, said);
}
