// The panel in which this page gives its camera to a session, by WHIP.
import {clientToken} from "./access.js";
import {readPlace} from "./ball.js";
import {openCamera} from "./camera.js";
import {h, panel} from "./dom.js";
import {Overlay} from "./overlay.js";
import {hasEnded} from "./phase.js";
import {isAnswered, mayStart, publishRole} from "./roles.js";
import {Connection} from "./webrtc.js";

export function publishPanel(current, me) {
  const video = h("video", {id: "preview", playsinline: true, "aria-label": "This camera’s pictures"});
  video.muted = true;
  const connection = new Connection(video, () => { fault.textContent = "The connection was lost."; update(); });
  const overlay = new Overlay(video, {seenBy: "the server"});
  const fault = h("p", {class: "fault", role: "alert"});
  const button = h("button", {type: "button", class: "main"});
  const hint = h("p", {class: "hint"});
  const element = panel("Webcam", hint, overlay.element, h("div", {class: "buttons"}, button), fault);

  // Of a session that looks for a ball: where it saw it in the last picture, on the data channel.
  function take(text) {
    const place = readPlace(text);
    if (!connection.playing) return;
    overlay.show({seen: place && onPreview(place)});
    overlay.say(place ? `The server sees the ball at ${place.x.toFixed(1)}, ${place.y.toFixed(1)}.` : "The server sees no ball.");
  }

  // A stream's frames have the spec's size, whatever the camera's is.
  function onPreview({x, y, radius}) {
    const {circle, stream} = current.session.spec;
    if (circle.source !== "Stream") return {x, y, radius};
    const wide = video.videoWidth / (stream.width ?? 640), high = video.videoHeight / (stream.height ?? 480);
    return {x: (x + 0.5) * wide - 0.5, y: (y + 0.5) * high - 0.5, radius: radius && radius * wide};
  }

  let turn = 0;  // counts stops: whoever is asked for the camera may leave the page meanwhile

  async function start() {
    const {namespace, name} = current.session;
    const mine = turn;
    const camera = await openCamera(publishRole(current.session));
    try {
      const bearer = await clientToken(current.session, me);
      if (mine !== turn) return;
      const onMessage = isAnswered(current.session) ? take : undefined;
      await connection.publish(`/s/${namespace}/${name}/whip`, bearer, camera, {onMessage});
    } finally {
      if (connection.camera !== camera) for (const track of camera.getTracks()) track.stop();
    }
  }

  async function stop() {
    turn += 1;
    await connection.stop();
    overlay.clear();
  }

  function update() {
    const {session} = current;
    const role = publishRole(session);
    const {playing} = connection;
    element.hidden = role === null;
    if (playing && hasEnded(session)) {
      stop().then(update);
      return;
    }
    overlay.element.hidden = !playing;
    overlay.marked(isAnswered(session));
    button.textContent = playing ? "Stop publishing" : "Publish webcam";
    button.disabled = !playing && !mayStart(session, role);
    hint.textContent = hasEnded(session) ? "The session has ended." : playing
      ? "This page is the session’s publisher. Stop to free its place." : role?.hint ?? "";
  }

  button.addEventListener("click", async () => {
    fault.textContent = "";
    button.disabled = true;
    try {
      if (connection.playing) await stop();
      else await start();
    } catch (error) {
      fault.textContent = error.message;
      await stop();
    }
    update();
  });
  return {element, update, stop};
}
