// The chosen municipality in the address of the page, `#place=CODE`: links to it, and back and forward.
const addressOf = (code) => `#place=${code}`;

function placeInAddress() {
  const found = /^#place=(\d{1,10})$/.exec(location.hash);
  const code = found && Number(found[1]);
  return FINDABLE.find((one) => one.code === code) ?? null;
}

// Adds an entry to the history, unless the address says so already.
function showInAddress(found) {
  const wanted = found ? addressOf(found.code) : "";
  const now = /^#place=/.test(location.hash) ? location.hash : "";
  if (wanted === now) return;
  try {
    history.pushState(null, "", wanted || location.pathname + location.search);
  } catch {
    // A page that is shown inside another one may have no address of its own.
  }
}

// Links to sections (`#map`) leave the choice as it is.
function followAddress() {
  const found = placeInAddress();
  if (found) choose(found, { zoom: true, fromAddress: true });
  else if (!location.hash) choose(null, { fromAddress: true });
}
