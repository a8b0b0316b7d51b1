// The visible part of the country: panning, zooming about a point, and the shape at a point.
class View {
  constructor(box) {
    this.box = box;
    this.width = 1;
    this.height = 1;
    this.scale = 1; // pixels per grid step
    this.x = 0; // the upper left corner of the window, in grid steps
    this.y = 0;
    this.whole = 1; // scale at which the whole country fits
  }

  resize(width, height) {
    const centre = this.toMap(this.width / 2, this.height / 2),
      zoom = this.scale / this.whole;
    this.width = width;
    this.height = height;
    const [x0, y0, x1, y1] = this.box,
      edge = 8;
    this.whole = Math.min((width - 2 * edge) / (x1 - x0 || 1), (height - 2 * edge) / (y1 - y0 || 1));
    this.scale = this.whole * Math.max(zoom, 1);
    if (zoom > 1.001) this.centreOn(...centre);
    else this.reset();
  }

  reset() {
    this.scale = this.whole;
    this.centreOn((this.box[0] + this.box[2]) / 2, (this.box[1] + this.box[3]) / 2);
  }

  toMap(px, py) {
    return [this.x + px / this.scale, this.y + py / this.scale];
  }
  toPixel(x, y) {
    return [(x - this.x) * this.scale, (y - this.y) * this.scale];
  }
  get zoomed() {
    return this.scale > this.whole * 1.01;
  }

  // Keeps the country in the window: the centre stays inside the country's box.
  centreOn(x, y) {
    const [x0, y0, x1, y1] = this.box;
    const inside = this.zoomed
      ? [Math.min(Math.max(x, x0), x1), Math.min(Math.max(y, y0), y1)]
      : [(x0 + x1) / 2, (y0 + y1) / 2];
    this.x = inside[0] - this.width / 2 / this.scale;
    this.y = inside[1] - this.height / 2 / this.scale;
  }

  pan(dx, dy) {
    this.centreOn(...this.toMap(this.width / 2 - dx, this.height / 2 - dy));
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toMap(px, py);
    this.scale = Math.min(Math.max(this.scale * factor, this.whole), this.whole * 400);
    this.centreOn(x + (this.width / 2 - px) / this.scale, y + (this.height / 2 - py) / this.scale);
  }

  // Shows a box with some space around it.
  show([x0, y0, x1, y1]) {
    const fits = Math.min(this.width / (x1 - x0 || 1), this.height / (y1 - y0 || 1)) / 4;
    this.scale = Math.min(Math.max(fits, this.whole), this.whole * 60);
    this.centreOn((x0 + x1) / 2, (y0 + y1) / 2);
  }

  sees([x0, y0, x1, y1]) {
    const [left, top] = this.toMap(0, 0),
      [right, bottom] = this.toMap(this.width, this.height);
    return x1 >= left && x0 <= right && y1 >= top && y0 <= bottom;
  }
}

// The x where a horizontal line crosses the sides of a shape, from west to east; it is inside between the first and the
// second, the third and the fourth, and so on.
function crossings(shape, y) {
  const found = [];
  for (const { points } of shape.rings) {
    for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2) {
      const y0 = points[j + 1],
        y1 = points[i + 1];
      if (y0 > y !== y1 > y) found.push(points[j] + ((y - y0) / (y1 - y0)) * (points[i] - points[j]));
    }
  }
  return found.sort((a, b) => a - b);
}

function shapeAt(x, y) {
  const holds = ({ box: [x0, y0, x1, y1] }) => x >= x0 && x <= x1 && y >= y0 && y <= y1;
  return SHAPES.find((shape) => holds(shape) && crossings(shape, y).filter((cut) => cut < x).length % 2) ?? null;
}

// A point well inside a shape: the middle of the longest piece of 15 horizontal lines that lies inside it.
function innerPoint(shape) {
  const largest = shape.rings.reduce((a, b) => (area(b.box) > area(a.box) ? b : a)).box;
  let best = [-1, 0, 0];
  for (let k = 1; k < 16; k++) {
    const y = largest[1] + ((largest[3] - largest[1]) * (k + 0.137)) / 16.3,
      cuts = crossings(shape, y);
    const room = 1 - Math.abs(k - 8) / 16;
    for (let i = 0; i + 1 < cuts.length; i += 2) {
      const length = (cuts[i + 1] - cuts[i]) * room;
      if (length > best[0]) best = [length, (cuts[i] + cuts[i + 1]) / 2, y];
    }
  }
  return best.slice(1);
}
const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
