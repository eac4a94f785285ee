// A tracking site: what its cameras see, drawn as boxes; what is tracked; where and when it was seen.
import {clientToken} from "./access.js";
import {request} from "./api.js";
import {h, notice, panel, replace, svg, table} from "./dom.js";
import {hasEnded} from "./phase.js";

const WIDTH = 640, HEIGHT = 360, ROW = 26, NAMES = 90;
const LOOK_MS = 5000;  // at timelines
const SHOWN_BOXES = 8, SHOWN_OBJECTS = 20;
// A number keeps its form: processors take 5.0 for a frame's time and refuse 5.
const FRAME_ID = /"frameId"\s*:\s*(-?[0-9][0-9.eE+-]*)/;

// One camera: the latest boxes on a canvas, and a button for each, for those who cannot point.
class Camera {
  constructor(name, {onStart, onStop}) {
    this.name = name;
    this.boxes = [];
    this.act = (box) => box.objectId === undefined
      ? onStart(`{"type":"start","cameraId":${JSON.stringify(name)},"frameId":${this.frameId},"boxId":${JSON.stringify(box.boxId)}}`)
      : onStop(box.objectId);
    this.canvas = h("canvas", {role: "img", width: WIDTH, height: HEIGHT, "aria-label": `Boxes of camera ${name}`});
    this.canvas.addEventListener("click", (event) => this.point(event));
    this.buttons = h("div", {class: "buttons"});
    this.element = h("div", {}, h("h3", {}, `Camera ${name}`), this.canvas, this.buttons);
  }

  show(boxes, frameId) {
    this.boxes = boxes.filter((box) => Array.isArray(box?.rect) && box.rect.length === 4);
    this.frameId = frameId;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, WIDTH, HEIGHT);
    pen.font = "14px sans-serif";
    pen.lineWidth = 2;
    for (const box of this.boxes) {
      const [left, top, right, bottom] = box.rect;
      pen.strokeStyle = pen.fillStyle = box.objectId === undefined ? "#9ecbff" : "#7ee787";
      pen.strokeRect(left * WIDTH, top * HEIGHT, (right - left) * WIDTH, (bottom - top) * HEIGHT);
      pen.fillText(this.label(box), left * WIDTH + 4, Math.max(top * HEIGHT - 4, 14));
    }
    const marker = JSON.stringify(this.boxes.map(({boxId, objectId}) => [boxId, objectId]));
    if (marker === this.marker) return;  // buttons stay where they are under a finger
    this.marker = marker;
    replace(this.buttons, ...this.boxes.slice(0, SHOWN_BOXES).map((box) =>
      h("button", {type: "button", onclick: () => this.act(box)},
        `${box.objectId === undefined ? "Track" : "Stop"} ${this.label(box)}`)));
  }

  label({boxId, objectId, objectType}) {
    return objectId === undefined ? `${objectType ?? "box"} ${boxId}` : `object ${objectId}`;
  }

  point(event) {
    const place = this.canvas.getBoundingClientRect();
    // The picture keeps its shape inside of the element (object-fit: contain).
    const scale = Math.min(place.width / WIDTH, place.height / HEIGHT);
    const x = (event.clientX - place.left - (place.width - WIDTH * scale) / 2) / (WIDTH * scale);
    const y = (event.clientY - place.top - (place.height - HEIGHT * scale) / 2) / (HEIGHT * scale);
    const size = ({rect: [left, top, right, bottom]}) => (right - left) * (bottom - top);
    const under = this.boxes.filter(({rect: [left, top, right, bottom]}) =>
      left <= x && x <= right && top <= y && y <= bottom).sort((a, b) => size(a) - size(b));
    if (under.length) this.act(under[0]);
  }
}

// Bars of one object over time, a row for each camera.
function bars(intervals, {from, to}) {
  const cameras = [...new Set(intervals.map(({processorId}) => processorId))];
  const span = Math.max(1, to - from);
  const x = (moment) => NAMES + (Math.min(Math.max(moment, from), to) - from) / span * (WIDTH - NAMES);
  const label = cameras.map((name) => `${name} ${intervals.filter(({processorId}) => processorId === name).length}`).join(", ");
  return svg("svg", {class: "bars", viewBox: `0 0 ${WIDTH} ${ROW * cameras.length}`, role: "img",
    "aria-label": `Intervals by camera: ${label}`},
    ...cameras.flatMap((name, row) => [
      svg("text", {x: 0, y: row * ROW + 17}, name),
      ...intervals.filter(({processorId}) => processorId === name).map(({first, last}) => {
        const begin = x(Date.parse(first)), end = x(Date.parse(last));
        return svg("rect", {x: begin, y: row * ROW + 5, width: Math.max(2, end - begin), height: ROW - 10});
      }),
    ]));
}

export function sitePanel(current, me) {
  const cameras = new Map(), live = new Set();
  let socket, looking;
  const fault = h("p", {class: "fault", role: "alert"});
  const button = h("button", {type: "button", class: "main"});
  const stage = h("div", {class: "columns"}), objects = h("div", {}), timelines = h("div", {});
  const element = panel("Site", h("p", {class: "hint"}, "Takes one of the site’s client places while it is open. Point at a box to track it, or at a tracked one to stop."),
    h("div", {class: "buttons"}, button), fault, stage, objects, timelines);
  const base = () => `/s/${current.session.namespace}/${current.session.name}`;
  const say = (text) => { if (socket?.readyState === WebSocket.OPEN) socket.send(text); };
  const stopObject = (number) => say(JSON.stringify({type: "stop", objectId: number}));

  function take(text) {
    const said = JSON.parse(text);
    if (said.type === "boundingBoxes" && Array.isArray(said.boxes)) {
      const name = String(said.cameraId ?? "?");
      if (!cameras.has(name)) {
        cameras.set(name, new Camera(said.cameraId, {onStart: say, onStop: stopObject}));
        replace(stage, ...[...cameras.values()].map((camera) => camera.element));
      }
      cameras.get(name).show(said.boxes, FRAME_ID.exec(text)?.[1] ?? "0");
    } else if (said.type === "newObject") {
      live.add(said.objectId);
      showObjects();
    } else if (said.type === "trackEnded" || said.type === "stop") {
      live.delete(said.objectId);
      showObjects();
    } else if (said.type === "error") {
      notice(said.message ?? said.text ?? said.code ?? "the site refuses");
    }
  }

  function showObjects() {
    replace(objects, live.size ? table("Tracked since this page looks on", [{text: "Object"}, {text: "Control"}],
      [...live].sort((a, b) => a - b).map((number) => [`object ${number}`,
        h("button", {type: "button", onclick: () => stopObject(number)}, `Stop object ${number}`)])) : "");
  }

  async function look() {
    try {
      const bearer = await clientToken(current.session, me);
      const get = async (path) => JSON.parse(await (await request(`${base()}/${path}`, {bearer})).text()).data;
      const known = (await get("objectIds")).slice(-SHOWN_OBJECTS);
      const found = [];
      for (const number of known) {
        const intervals = await get(`timelines?objectId=${number}&intervals=1`).catch(() => []);
        if (intervals.length) found.push([number, intervals]);
      }
      const moments = found.flatMap(([, intervals]) => intervals.flatMap(({first, last}) => [Date.parse(first), Date.parse(last)]));
      const range = {from: Math.min(...moments), to: Math.max(...moments)};
      replace(timelines, ...(found.length ? [h("h3", {}, "Timelines"),
        h("p", {class: "hint"}, `${new Date(range.from).toISOString()} to ${new Date(range.to).toISOString()}`)] : []),
        ...found.map(([number, intervals]) => h("div", {}, h("h4", {}, `Object ${number}`), bars(intervals, range))));
    } catch (error) {
      fault.textContent = error.message;
    }
  }

  async function open() {
    const bearer = await clientToken(current.session, me);
    const url = new URL(`${base()}/client`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (bearer) url.searchParams.set("token", bearer);  // a browser's WebSocket sends no header
    const mine = new WebSocket(url);
    socket = mine;
    mine.addEventListener("open", () => {
      say('{"type":"hello"}');
      say('{"type":"setUsesImages","usesImages":true}');
      update();
    });
    mine.addEventListener("message", ({data}) => take(data));
    mine.addEventListener("close", ({code, reason}) => {
      if (socket !== mine) return;
      fault.textContent = reason || (code === 1006 ? "The site cannot be reached, or all its places are taken." : `The connection was closed (${code}).`);
      close();
    });
    looking = setInterval(look, LOOK_MS);
    await look();
  }

  function close() {
    const last = socket;
    socket = undefined;
    clearInterval(looking);
    last?.close();
    update();
  }

  function update() {
    const {session} = current;
    element.hidden = !session.spec.tracking?.orchestrator;
    button.textContent = socket ? "Leave the site" : "Watch the site";
    button.disabled = !socket && (hasEnded(session) || !["Ready", "Connected"].includes(session.status.phase));
    if (socket && hasEnded(session)) close();
  }

  button.addEventListener("click", async () => {
    fault.textContent = "";
    if (socket) { close(); return; }
    try {
      await open();
    } catch (error) {
      fault.textContent = error.message;
      close();
    }
    update();
  });
  return {element, update, stop: close};
}
