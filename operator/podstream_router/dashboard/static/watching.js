// The panel in which a session is watched: a circle session by WHEP, a stream session as a viewer.
import {clientToken} from "./access.js";
import {h, panel} from "./dom.js";
import {Pictures} from "./mjpeg.js";
import {hasEnded} from "./phase.js";
import {Player} from "./video.js";

function placeOf(session) {
  const {spec, status} = session;
  if (hasEnded(session)) return {free: false, hint: "The session has ended."};
  if (spec.stream) {
    const most = spec.stream.maxViewers ?? 0;
    if (most === 0) return {free: false, hint: "This session admits no viewers (spec.stream.maxViewers)."};
    const free = ["Ready", "Connected"].includes(status.phase);
    return {free, hint: `Looking on takes one of ${most} viewers’ places, never the publisher’s.`};
  }
  if (spec.client?.builtIn) return {free: false, hint: "The built-in client has the session’s one connection."};
  if (status.phase !== "Ready") return {free: false, hint: "The session’s one connection is taken, or its pod is not ready."};
  return {free: true, hint: "A session has one connection. Watching takes it: no other client can connect meanwhile, and a session without a frame limit ends when you stop."};
}

export function watchPanel(current, me) {
  const video = h("video", {playsinline: true, "aria-label": "Live video of the session", hidden: true});
  video.muted = true;
  const canvas = h("canvas", {role: "img", "aria-label": "Live pictures of the stream", hidden: true});
  const isStream = () => current.session.spec.stream !== undefined && current.session.spec.circle === undefined;
  const player = new Player(video), pictures = new Pictures(canvas);
  const source = () => isStream() ? pictures : player;
  const fault = h("p", {class: "fault", role: "alert"});
  const button = h("button", {type: "button", class: "main"}, "Watch");
  const hint = h("p", {class: "hint"});
  const element = panel("Live video", hint, video, canvas, h("div", {class: "buttons"}, button), fault);

  async function toggle() {
    const {namespace, name} = current.session;
    if (source().playing) {
      await source().stop();
    } else {
      const bearer = await clientToken(current.session, me);
      await source().play(`/s/${namespace}/${name}/${isStream() ? "mjpeg" : "whep"}`, bearer, update);
    }
  }

  function update() {
    const {session} = current;
    const {playing} = source();
    const {free, hint: text} = placeOf(session);
    if (playing && hasEnded(session)) {
      Promise.resolve(source().stop()).then(update);
      return;
    }
    element.hidden = !session.spec.circle && !session.spec.stream;
    video.hidden = !playing || isStream();
    canvas.hidden = !playing || !isStream();
    button.textContent = playing ? "Stop watching" : "Watch";
    button.disabled = !playing && !free;
    hint.textContent = playing && !isStream()
      ? "This page is the session’s client. Stop watching to free its place." : text;
  }

  button.addEventListener("click", async () => {
    fault.textContent = "";
    button.disabled = true;
    try {
      await toggle();
    } catch (error) {
      fault.textContent = error.message;
      await source().stop();
    }
    update();
  });
  return {element, update, stop: () => source().stop()};
}
