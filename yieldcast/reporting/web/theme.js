// Light or dark: as the system, or as the reader chose here; the choice is remembered by the browser.
const THEME_KEY = "yieldcast-theme";
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const onPaper = window.matchMedia("print");
// Colours of the map that are not classes. The greys can be told apart from all classes (the tests check it).
const MAP_INKS = {
  light: { sea: "#f4f7f8", border: "rgba(20, 32, 38, 0.75)", rim: "rgba(255, 255, 255, 0.55)", none: "#d3d6da" },
  dark: { sea: "#1a2429", border: "rgba(8, 12, 14, 0.9)", rim: "rgba(255, 255, 255, 0.4)", none: "#4c4c4c" },
};

// Storage may be refused (a page in a frame, or in some private windows): the switch then works until it is closed.
function storedTheme() {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null;
  }
}
function storeTheme(name) {
  try {
    if (name) localStorage.setItem(THEME_KEY, name);
    else localStorage.removeItem(THEME_KEY);
  } catch {
    // see above
  }
}
const systemTheme = () => (systemDark.matches ? "dark" : "light");
let theme = systemTheme();
const mapInks = () => MAP_INKS[onPaper.matches ? "light" : theme];

function setTheme(name) {
  theme = name;
  document.documentElement.dataset.theme = name;
  document.querySelector("[data-theme-switch]")?.setAttribute("aria-pressed", String(name === "dark"));
  if (map) setLayer(state.layer);
}

// The choice is kept only while it differs from the system's, which is followed otherwise.
function themeSwitch() {
  return el(
    "button",
    {
      type: "button",
      "data-theme-switch": true,
      "aria-pressed": String(theme === "dark"),
      onclick: () => {
        setTheme(theme === "dark" ? "light" : "dark");
        storeTheme(theme === systemTheme() ? null : theme);
      },
    },
    t("Dark"),
  );
}

function startTheme() {
  const stored = storedTheme();
  setTheme(Object.hasOwn(MAP_INKS, stored ?? "") ? stored : systemTheme());
  systemDark.addEventListener("change", () => storedTheme() ?? setTheme(systemTheme()));
  // At once: no picture is drawn later while the page is printed.
  onPaper.addEventListener("change", () => {
    setTheme(theme);
    map?.draw();
  });
}
