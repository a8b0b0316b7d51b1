// What makes the pages quicker to use; each of them works without it. The texts stay on the server.

// Light or dark: the link of the server answers with a page; here the colours change at once.
const dark = document.getElementById("dark-colours");
for (const link of document.querySelectorAll("[data-theme-link]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const theme = link.dataset.themeLink;
    document.cookie = `yieldcast_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    dark.media = link.dataset.media;
    for (const other of document.querySelectorAll("[data-theme-link]")) {
      other.setAttribute("aria-current", String(other === link));
    }
  });
}

// Sorting: the links of the headings ask the server for a sorted page; here the rows move at once.
function sortBy(table, heading, link) {
  const column = [...heading.parentElement.children].indexOf(heading);
  const first = heading.dataset.first;
  const opposite = first === "ascending" ? "descending" : "ascending";
  const way = heading.getAttribute("aria-sort") === first ? opposite : first;
  const body = table.tBodies[0];
  const key = (row) => row.children[column].dataset.value ?? row.children[column].textContent.trim();
  const sign = way === "ascending" ? 1 : -1;
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return Number(x === "") - Number(y === ""); // empty cells stay last
    const [m, n] = [Number(x), Number(y)];
    return sign * (Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y) : m - n);
  };
  body.append(...[...body.rows].sort(compare));
  for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", way);
  const address = new URL(link.href);
  address.searchParams.set("sort", link.dataset.key);
  address.searchParams.set("order", way);
  history.replaceState(null, "", address);
}
for (const table of document.querySelectorAll("table.sortable")) {
  for (const link of table.tHead.querySelectorAll("a[data-key]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      sortBy(table, link.closest("th"), link);
    });
  }
}

// Live progress: rows that name an address ask it again and again until the submission has ended; then the
// page is read once more, for its results. Without scripts the page reads itself again (meta refresh).
const PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30000;
async function follow(place, pause = PAUSE_MS) {
  let next = pause;
  try {
    const answer = await fetch(place.dataset.progress, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const said = await answer.json();
    if (said.ended) return location.reload();
    for (const part of place.querySelectorAll("[data-part]")) {
      const value = said[part.dataset.part];
      if (part.localName === "progress") {
        if (value === null) part.removeAttribute("value");
        else part.value = value;
      } else if (part.textContent !== value) part.textContent = value ?? "";
    }
    next = PAUSE_MS;
  } catch {
    next = Math.min(2 * pause, LONGEST_PAUSE_MS); // the server may be starting again
  }
  setTimeout(() => follow(place, next), next);
}
for (const place of document.querySelectorAll("[data-progress]")) setTimeout(() => follow(place), PAUSE_MS);
