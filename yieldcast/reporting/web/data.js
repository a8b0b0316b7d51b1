// The data of the report: one object per municipality and aggregate from the columns, and the unpacked boundaries.
const ABOUT = DATA.about;

function rows(columns) {
  const names = Object.keys(columns);
  return columns[names[0]].map((_, i) => {
    const row = { index: i };
    for (const name of names) row[name] = columns[name][i];
    row.change = difference(row.q3, row.before);
    row.departure = difference(row.q3, row.mean5);
    row.width = difference(row.q6, row.q0);
    return row;
  });
}
const PLACES = rows(DATA.places);
const AGGREGATES = rows(DATA.aggregates);
const COUNTRY = AGGREGATES[0];
const BY_CODE = new Map(PLACES.map((place) => [place.code, place]));
const hasPrevious = DATA.previous !== null;

const STATE_NAMES = DATA.states;

const aggregateName = (row) => (row === COUNTRY ? word("country", ABOUT.country) : (STATE_NAMES[row.name] ?? row.name));

function bytes(text) {
  const packed = atob(text);
  const out = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) out[i] = packed.charCodeAt(i);
  return out;
}

// LEB128: seven bits in each byte, lowest first; the eighth bit is 1 if more bytes follow.
function varints(stream) {
  const out = [];
  let value = 0,
    factor = 1;
  for (const byte of stream) {
    value += (byte & 0x7f) * factor;
    if (byte & 0x80) factor *= 128;
    else {
      out.push(value);
      value = 0;
      factor = 1;
    }
  }
  return out;
}
const zigzag = (n) => (n % 2 ? -(n + 1) / 2 : n / 2);

// Municipalities of the mesh, in grid steps: rings as flat arrays x, y (y points south, as on a screen; x is scaled
// by the cosine of the middle latitude), and for each corner whether an edge of a state begins there. See html_map.py.
function decodeMesh(mesh) {
  const counts = varints(bytes(mesh.counts)),
    corners = varints(bytes(mesh.corners));
  const borders = bytes(mesh.borders);
  const squeeze = Math.cos(((mesh.south + mesh.north) / 2) * (Math.PI / 180));
  let x = 0,
    y = 0,
    c = 0,
    side = 0,
    next = 0;
  const ring = (size) => {
    const points = new Float64Array(size * 2),
      edges = new Uint8Array(size);
    for (let k = 0; k < size; k++, side++) {
      x += zigzag(corners[c++]);
      y += zigzag(corners[c++]);
      points[2 * k] = x * squeeze;
      points[2 * k + 1] = -y;
      edges[k] = (borders[side >> 3] >> (side & 7)) & 1;
    }
    return { points, edges, box: box(points) };
  };
  return mesh.codes.map((code, i) => {
    const rings = Array.from({ length: counts[next++] }, () => ring(counts[next++]));
    const place = BY_CODE.get(code) ?? null;
    return {
      code,
      rings,
      place,
      box: around(rings.map((one) => one.box)),
      name: place?.name ?? (mesh.names[i] || String(code)),
      state: place?.state ?? mesh.states[i],
    };
  });
}

function box(points) {
  const out = [Infinity, Infinity, -Infinity, -Infinity];
  for (let k = 0; k < points.length; k += 2) {
    out[0] = Math.min(out[0], points[k]);
    out[1] = Math.min(out[1], points[k + 1]);
    out[2] = Math.max(out[2], points[k]);
    out[3] = Math.max(out[3], points[k + 1]);
  }
  return out;
}
const around = (boxes) =>
  boxes.reduce((a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
const SHAPES = DATA.mesh ? decodeMesh(DATA.mesh) : [];
