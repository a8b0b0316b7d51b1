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

// Live progress: each submission that has not ended is asked for again and again. When its answer changes, this
// page is read in the background, so that words and numbers are the server's, and its part is renewed. When a
// submission has ended the whole page is. Without scripts the page reads itself again (meta refresh).
const PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30000;

async function asked(address) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.text();
}

async function renew(place) {
  const page = new DOMParser().parseFromString(await asked(document.querySelector("main").dataset.page), "text/html");
  const fresh = page.getElementById(place.id);
  if (fresh === null) return location.reload();
  place.replaceChildren(...fresh.childNodes);
}

async function follow(place, before, pause) {
  let [now, next] = [before, PAUSE_MS];
  try {
    now = await asked(place.dataset.progress);
    if (now !== before) await renew(place);
  } catch {
    [now, next] = [before, Math.min(2 * pause, LONGEST_PAUSE_MS)]; // the server may be starting again
  }
  setTimeout(() => follow(place, now, next), next);
}
for (const place of document.querySelectorAll("[data-progress]")) follow(place, null, PAUSE_MS);
