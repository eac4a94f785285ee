// Draws over a video: where the ball truly is, where it was seen, and the ring of what was seen.
import {h, svg} from "./dom.js";

const TRUTH = "#3f8cff", SEEN = "#ff2d2d", EDGE = "#ffffff";

function key(text, ...shapes) {
  return h("li", {}, svg("svg", {class: "key", viewBox: "0 0 20 20", "aria-hidden": "true"}, ...shapes), ` ${text}`);
}

export class Overlay {
  constructor(video, {seenBy}) {
    this.canvas = h("canvas", {class: "overlay", role: "img", "aria-label": "Marks over the video"});
    this.stage = h("div", {class: "stage"}, video, this.canvas);
    this.truthKey = key("true centre (blue cross)",
      svg("path", {d: "M10 2v16M2 10h16", stroke: TRUTH, "stroke-width": 3}));
    this.words = h("p", {class: "hint"});
    this.legend = h("ul", {class: "legend", "aria-label": "Marks"}, this.truthKey,
      key(`centre seen by ${seenBy} (red dot)`, svg("circle", {cx: 10, cy: 10, r: 4, fill: SEEN})),
      key("its ring (red circle)", svg("circle", {cx: 10, cy: 10, r: 7, fill: "none", stroke: SEEN, "stroke-width": 2})));
    this.element = h("div", {}, this.stage, this.legend, this.words);
    this.video = video;
  }

  // `seen`: x, y and radius, or null; `truth`: the same, or undefined where nobody tells it; `picture`: the
  // frame that they are of, where the video behind has gone on since.
  show({seen, truth, picture}) {
    const {canvas, video} = this;
    const width = video.videoWidth, height = video.videoHeight;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    if (picture) pen.drawImage(picture, 0, 0, width, height);
    const thick = Math.max(1.5, width / 400);
    const stroke = (color, path) => {
      for (const [style, wide] of [[EDGE, 2.2 * thick], [color, 1.4 * thick]]) {
        pen.strokeStyle = style;
        pen.lineWidth = wide;
        pen.beginPath();
        path();
        pen.stroke();
      }
    };
    // Canvas coordinates begin at the corner of the first pixel, places at its centre.
    if (seen?.radius) stroke(SEEN, () => pen.arc(seen.x + 0.5, seen.y + 0.5, seen.radius, 0, 2 * Math.PI));
    if (truth) {
      const x = truth.x + 0.5, y = truth.y + 0.5, arm = 5 * thick;
      stroke(TRUTH, () => { pen.moveTo(x - arm, y); pen.lineTo(x + arm, y); pen.moveTo(x, y - arm); pen.lineTo(x, y + arm); });
    }
    if (seen) {
      pen.fillStyle = SEEN;
      pen.beginPath();
      pen.arc(seen.x + 0.5, seen.y + 0.5, 1.6 * thick, 0, 2 * Math.PI);
      pen.fill();
    }
    this.truthKey.hidden = truth === undefined;
    this.canvas.dataset.seen = seen ? [seen.x, seen.y, seen.radius ?? ""].join(" ") : "";
    this.canvas.dataset.truth = truth ? [truth.x, truth.y].join(" ") : "";
  }

  // Whether there is anything to mark in this video.
  marked(wanted) {
    this.legend.hidden = this.canvas.hidden = !wanted;
  }

  say(text) {
    this.words.textContent = text;
  }

  clear() {
    this.canvas.width = this.canvas.height = 0;
    this.words.textContent = "";
  }
}
