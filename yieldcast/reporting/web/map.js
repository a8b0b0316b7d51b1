// The map: one canvas with the municipalities, and one above it that marks the hovered and the chosen one.
class MunicipalMap {
  constructor() {
    this.base = el("canvas", { class: "map-base", tabindex: "0", role: "application" });
    this.marks = el("canvas", { class: "map-marks", "aria-hidden": "true" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.said = el("p", { class: "unseen", "aria-live": "polite" });
    this.node = el("div", { class: "map" }, this.base, this.marks, this.tip, this.said);
    this.view = new View(around(SHAPES.map((shape) => shape.box)));
    this.byCode = new Map(SHAPES.map((shape) => [shape.code, shape]));
    this.hovered = this.chosen = this.cross = null;
    this.drawn = 0;
    this.edges = this.stateEdges();
    for (const shape of SHAPES) shape.path = ringsPath(shape);
    this.setLayer("median");
    new ResizeObserver(() => this.fit()).observe(this.node);
  }

  // The outlines of states as connected sides; a side between two states is drawn once.
  stateEdges() {
    const path = new Path2D(),
      seen = new Set();
    for (const { rings } of SHAPES) {
      for (const { points, edges } of rings) {
        let drawing = false;
        for (let i = 0; i < edges.length; i++) {
          const j = (i + 1) % edges.length;
          const [x0, y0, x1, y1] = [points[2 * i], points[2 * i + 1], points[2 * j], points[2 * j + 1]];
          const key = edges[i]
            ? x0 < x1 || (x0 === x1 && y0 < y1)
              ? `${x0},${y0},${x1},${y1}`
              : `${x1},${y1},${x0},${y0}`
            : "";
          const draw = edges[i] && !seen.has(key);
          if (draw && !drawing) path.moveTo(x0, y0);
          if (draw) path.lineTo(x1, y1);
          if (draw) seen.add(key);
          drawing = draw;
        }
      }
    }
    return path;
  }

  setLayer(name) {
    this.layerName = name;
    this.classes = classes(name);
    this.redraw();
  }

  fit() {
    const { width, height } = this.node.getBoundingClientRect();
    if (!width || !height) return;
    this.density = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.base, this.marks]) {
      canvas.width = Math.round(width * this.density);
      canvas.height = Math.round(height * this.density);
    }
    this.view.resize(width, height);
    this.draw();
  }

  // During a gesture the last picture is moved and scaled; the map is drawn again when the gesture pauses.
  moved() {
    this.hideTip();
    this.node.classList.toggle("zoomed", this.view.zoomed);
    if (!this.frame)
      this.frame = requestAnimationFrame(() => {
        this.frame = null;
        this.stretch();
        this.drawMarks();
      });
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.draw(), 110);
  }

  stretch() {
    const { picture, density, view } = this,
      context = this.base.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = mapInks().sea;
    context.fillRect(0, 0, this.base.width, this.base.height);
    const factor = view.scale / picture.scale,
      [x, y] = view.toPixel(picture.x, picture.y);
    context.drawImage(
      picture.canvas,
      x * density,
      y * density,
      picture.canvas.width * factor,
      picture.canvas.height * factor,
    );
  }

  redraw() {
    cancelAnimationFrame(this.later);
    this.later = requestAnimationFrame(() => this.draw());
  }

  // Draws every visible municipality, class by class.
  draw() {
    clearTimeout(this.rest);
    if (!this.density) return;
    const { view, density, base } = this,
      context = base.getContext("2d");
    const scale = view.scale * density,
      pixel = 1 / scale;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = mapInks().sea;
    context.fillRect(0, 0, base.width, base.height);
    context.setTransform(scale, 0, 0, scale, -view.x * scale, -view.y * scale);
    context.lineJoin = "round";
    const inSight = this.paint(context, pixel);
    const share = Math.min(Math.max((view.scale / view.whole - 1.5) / 6, 0), 1);
    if (share) this.rims(context, inSight, pixel * density * (0.3 + 0.6 * share));
    context.strokeStyle = mapInks().border;
    context.lineWidth = pixel * density * (0.7 + 0.5 * share);
    context.stroke(this.edges);
    this.keepPicture();
    this.drawMarks();
  }

  // Fills, and strokes in the same colour to close the hairlines that smoothing leaves between neighbours.
  paint(context, pixel) {
    const groups = new Map();
    const inSight = [];
    SHAPES.forEach((shape, i) => {
      if (!this.view.sees(shape.box)) return;
      const kind = this.classes.kinds[i];
      if (!groups.has(kind)) groups.set(kind, new Path2D());
      groups.get(kind).addPath(shape.path);
      inSight.push(shape);
    });
    context.lineWidth = pixel * 0.8;
    for (const [kind, path] of groups) {
      context.fillStyle = context.strokeStyle = kind < 0 ? mapInks().none : this.classes.colours[kind];
      context.fill(path, "evenodd");
      context.stroke(path);
    }
    this.drawn = Math.max(this.drawn, inSight.length);
    return inSight;
  }

  rims(context, inSight, width) {
    const path = new Path2D();
    for (const shape of inSight) path.addPath(shape.path);
    context.strokeStyle = mapInks().rim;
    context.lineWidth = width;
    context.stroke(path);
  }

  keepPicture() {
    this.picture ??= { canvas: document.createElement("canvas") };
    const { canvas } = this.picture;
    canvas.width = this.base.width;
    canvas.height = this.base.height;
    canvas.getContext("2d").drawImage(this.base, 0, 0);
    Object.assign(this.picture, { scale: this.view.scale, x: this.view.x, y: this.view.y });
  }

  drawMarks() {
    const { view, density, marks } = this,
      context = marks.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, marks.width, marks.height);
    const scale = view.scale * (density || 1);
    context.setTransform(scale, 0, 0, scale, -view.x * scale, -view.y * scale);
    context.lineJoin = "round";
    for (const [shape, width] of [
      [this.chosen, 2.4],
      [this.hovered, 1.6],
    ]) {
      if (!shape) continue;
      for (const [colour, extra] of [
        ["#ffffff", 2],
        ["#111a1e", 0],
      ]) {
        context.strokeStyle = colour;
        context.lineWidth = (width + extra) / view.scale;
        context.stroke(shape.path);
      }
    }
    if (this.cross) this.drawCross(context);
  }

  drawCross(context) {
    const { view } = this,
      [x, y] = view.toMap(view.width / 2, view.height / 2),
      arm = 9 / view.scale;
    for (const [colour, width] of [
      ["#ffffff", 4],
      ["#111a1e", 1.6],
    ]) {
      context.strokeStyle = colour;
      context.lineWidth = width / view.scale;
      context.beginPath();
      context.moveTo(x - arm, y);
      context.lineTo(x + arm, y);
      context.moveTo(x, y - arm);
      context.lineTo(x, y + arm);
      context.stroke();
    }
  }

  // Marks the municipality under a pixel and shows its numbers there.
  pointAt(px, py) {
    this.hovered = shapeAt(...this.view.toMap(px, py));
    this.drawMarks();
    if (!this.hovered) return this.hideTip();
    this.tip.replaceChildren(...tipContent(this.hovered));
    this.tip.hidden = false;
    this.placeTip(px, py);
    return this.hovered;
  }

  // Places the numbers beside the point if there is room, otherwise in the half of the map without the point.
  placeTip(px, py) {
    const { offsetWidth: width, offsetHeight: height } = this.tip,
      room = this.view;
    const right = px + 16 + width < room.width,
      beside = right || px - width - 16 > 0;
    const left = right ? px + 16 : beside ? px - width - 16 : (room.width - width) / 2;
    const below = py + 16 + height < room.height ? py + 16 : py - height - 12;
    const top = beside ? below : py < room.height / 2 ? room.height - height - 6 : 6;
    this.tip.style.left = `${Math.max(left, 4)}px`;
    this.tip.style.top = `${Math.max(top, 4)}px`;
  }

  hideTip() {
    this.tip.hidden = true;
    if (this.hovered) {
      this.hovered = null;
      this.drawMarks();
    }
  }

  choose(code, zoom) {
    this.chosen = this.byCode.get(code) ?? null;
    if (this.chosen && zoom) {
      this.view.show(this.chosen.box);
      this.node.classList.toggle("zoomed", this.view.zoomed);
      this.draw();
    } else this.drawMarks();
  }
}

function ringsPath(shape) {
  const path = new Path2D();
  for (const { points } of shape.rings) {
    path.moveTo(points[0], points[1]);
    for (let k = 2; k < points.length; k += 2) path.lineTo(points[k], points[k + 1]);
    path.closePath();
  }
  return path;
}
