// Mouse, touch, pen, wheel and keyboard on the map. While the whole country is visible, dragging with one finger and
// turning the wheel down scroll the page; when zoomed in, they move the map and zoom out.
function listen(map, onChoose) {
  const { base, view } = map,
    pointers = new Map();
  let travelled = 0;
  const place = (event) => {
    const frame = base.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  const centre = () => map.pointAt(view.width / 2, view.height / 2);

  base.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, place(event));
    base.setPointerCapture(event.pointerId);
    if (pointers.size === 1) travelled = 0;
    map.cross = null;
  });
  base.addEventListener("pointermove", (event) => {
    const to = place(event),
      from = pointers.get(event.pointerId);
    if (!from) {
      if (event.pointerType !== "touch") map.pointAt(...to);
      return;
    }
    const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, to);
    const dx = to[0] - from[0],
      dy = to[1] - from[1];
    travelled += Math.hypot(dx, dy);
    if (other) {
      const before = Math.hypot(from[0] - other[0], from[1] - other[1]);
      const after = Math.hypot(to[0] - other[0], to[1] - other[1]);
      view.pan(dx / 2, dy / 2);
      if (before > 0) view.zoom(after / before, (to[0] + other[0]) / 2, (to[1] + other[1]) / 2);
      map.moved();
    } else if (travelled > 4) {
      view.pan(dx, dy);
      map.moved();
    }
  });
  base.addEventListener("pointerup", (event) => {
    const [x, y] = place(event),
      single = pointers.size === 1;
    pointers.delete(event.pointerId);
    if (!single || travelled > 6) return;
    const shape = map.pointAt(x, y);
    if (shape) onChoose(shape, false);
  });
  base.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  base.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") map.hideTip(); // lifting a finger also fires this; the numbers stay
  });
  base.addEventListener(
    "wheel",
    (event) => {
      if (event.deltaY > 0 && !view.zoomed) return; // already zoomed out: the page scrolls
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 18 : 1);
      view.zoom(Math.exp(-Math.min(Math.max(pixels, -240), 240) / 260), ...place(event));
      map.moved();
    },
    { passive: false },
  );

  const step = 60;
  const keys = {
    ArrowLeft: () => view.pan(step, 0),
    ArrowRight: () => view.pan(-step, 0),
    ArrowUp: () => view.pan(0, step),
    ArrowDown: () => view.pan(0, -step),
    "+": () => view.zoom(1.6),
    "=": () => view.zoom(1.6),
    "-": () => view.zoom(1 / 1.6),
    0: () => view.reset(),
  };
  base.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") map.hideTip();
    if (event.key === "Enter") {
      const shape = centre();
      if (shape) onChoose(shape, true);
    }
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
    map.cross = true;
    map.moved();
    centre();
    map.said.textContent = map.hovered ? map.tip.innerText : "";
  });
  base.addEventListener("blur", () => {
    map.cross = null;
    map.drawMarks();
  });
}
