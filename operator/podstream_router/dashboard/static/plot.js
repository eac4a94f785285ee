// A small line plot of two figures over time, as SVG made by this module.
import {figure, h, replace, svg} from "./dom.js";

const WIDTH = 640, HEIGHT = 220, LEFT = 48, BOTTOM = 24, TOP = 10, RIGHT = 10;
const KEPT = 900;  // a quarter of an hour at one point a second

function nice(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= value);
}

export class Plot {
  constructor({title, first, second, unit}) {
    this.points = [];
    this.names = {title, first, second, unit};
    this.place = h("div", {});
    this.summary = h("p", {class: "hint"}, "No figures yet.");
    this.element = h("div", {}, this.place, this.summary);
  }

  add(at, first, second) {
    const last = this.points.at(-1);
    if (first === undefined || first === null || (last && last.at >= at)) return;
    this.points.push({at, first, second});
    if (this.points.length > KEPT) this.points.shift();
    this.draw();
  }

  draw() {
    const {points, names} = this;
    const start = points[0].at, span = Math.max(1, points.at(-1).at - start);
    const top = nice(Math.max(...points.flatMap(({first, second}) => [first, second ?? 0])));
    const x = (at) => LEFT + (at - start) / span * (WIDTH - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP);
    const line = (member, name) => svg("polyline", {
      class: name,
      points: points.filter((point) => point[member] !== undefined && point[member] !== null)
        .map((point) => `${x(point.at).toFixed(1)},${y(point[member]).toFixed(1)}`).join(" "),
    });
    const now = points.at(-1);
    const text = `${names.first} ${figure(now.first)} ${names.unit}`
      + (now.second === undefined || now.second === null ? "" : `, ${names.second} ${figure(now.second)} ${names.unit} (dashed)`);
    const label = `${names.title}: ${text}, over ${Math.round(span)} s`;
    replace(this.place, svg("svg", {class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label},
      ...[0, 0.5, 1].map((part) => svg("g", {},
        svg("line", {class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(part * top), y2: y(part * top)}),
        svg("text", {x: LEFT - 6, y: y(part * top) + 4, "text-anchor": "end"}, figure(part * top)))),
      svg("text", {x: LEFT, y: HEIGHT - 6}, "0 s"),
      svg("text", {x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end"}, `${Math.round(span)} s`),
      line("second", "second"), line("first", "first")));
    this.summary.textContent = `Now: ${text}.`;
  }
}
