// Finds the ball in a picture as the method Moments of podstream's client does: the centroid of what
// differs from the border's colour. And reads what is said about the ball on the data channel.

const WIDEST = 640;  // pixels that are looked at in a row
const CONTRAST = 24;  // levels; noise and codec residue stay below
const LEAST = 24;  // pixels
const FILL = [0.55, 1], ASPECT = [0.7, 1.43];

function median(values) {
  values.sort((a, b) => a - b);
  return values[values.length >> 1];
}

function background(data, width, height) {
  const channels = [[], [], []];
  const take = (at) => { for (let c = 0; c < 3; c += 1) channels[c].push(data[at * 4 + c]); };
  for (let x = 0; x < width; x += 4) { take(x); take((height - 1) * width + x); }
  for (let y = 0; y < height; y += 4) { take(y * width); take(y * width + width - 1); }
  return channels.map(median);
}

// Centre and radius in pixels of `data` (RGBA), the centre of the upper left pixel at (0, 0); or null.
export function findBall(data, width, height) {
  const [r, g, b] = background(data, width, height);
  const far = (at) => Math.max(Math.abs(data[at] - r), Math.abs(data[at + 1] - g), Math.abs(data[at + 2] - b));
  let most = 0;
  for (let at = 0; at < data.length; at += 16) most = Math.max(most, far(at));
  if (most < CONTRAST) return null;
  let mass = 0, sumX = 0, sumY = 0, left = width, right = -1, top = height, bottom = -1;
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      // Up to a fifth of the contrast is codec residue, above four fifths is ball.
      const weight = Math.min(1, (far(at) / most - 0.2) / 0.6);
      if (weight <= 0) continue;
      mass += weight;
      sumX += weight * x;
      sumY += weight * y;
      if (weight > 0.5) {
        left = Math.min(left, x); right = Math.max(right, x);
        top = Math.min(top, y); bottom = Math.max(bottom, y);
      }
    }
  }
  if (mass < LEAST || right < left) return null;
  const wide = right - left + 1, tall = bottom - top + 1, fill = mass / (wide * tall);
  if (fill < FILL[0] || fill > FILL[1] || tall / wide < ASPECT[0] || tall / wide > ASPECT[1]) return null;
  return {x: sumX / mass, y: sumY / mass, radius: Math.sqrt(mass / Math.PI)};
}

export class BallFinder {
  constructor() {
    this.canvas = new OffscreenCanvas(1, 1);
    this.pen = this.canvas.getContext("2d", {willReadFrequently: true});
  }

  // The ball in a picture (a video or one of its frames) of so many pixels, in these; or null.
  find(picture, [wide, high]) {
    const {canvas, pen} = this;
    const part = Math.min(1, WIDEST / wide);
    const width = Math.round(wide * part), height = Math.round(high * part);
    if (!width || !height) return null;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    pen.drawImage(picture, 0, 0, width, height);
    const ball = findBall(pen.getImageData(0, 0, width, height).data, width, height);
    return ball && {x: (ball.x + 0.5) / part - 0.5, y: (ball.y + 0.5) / part - 0.5, radius: ball.radius / part};
  }
}

// What a client says: where it saw the ball in the frame with this RTP timestamp.
export function estimateText(ball, {count, rtpTimestamp, micros}) {
  const place = ball ? `${ball.x.toFixed(3)}\t${ball.y.toFixed(3)}` : "-\t-";
  return `${place}\t${count}\t${rtpTimestamp}\t~${Math.round(micros)}`;
}

// What a server says: where the ball truly was in a frame that was answered ("="), or where it has seen
// the ball in this page's own video.
export function readPlace(text) {
  const fields = text.split("\t");
  const isTruth = fields[0] === "=";
  if (isTruth) fields.shift();
  const [x, y, third, fourth, fifth] = fields.map(Number);
  if (fields.length < 3 || !Number.isFinite(x) || !Number.isFinite(y)) return null;
  if (isTruth) return {isTruth, x, y, radius: third, rtpTimestamp: fifth};
  const ring = fields.find((field) => /^o[0-9.]+$/.test(field));
  return {isTruth, x, y, radius: ring && Number(ring.slice(1)), rtpTimestamp: fourth};
}
