// The panel in which a session is watched, or a camera given to it: by WHEP, as a viewer, or by WHIP.
import {clientToken} from "./access.js";
import {h, panel} from "./dom.js";
import {Pictures} from "./mjpeg.js";
import {hasEnded} from "./phase.js";
import {Connection} from "./webrtc.js";

const TAKEN = "The session’s one connection is taken, or its pod is not ready.";
const ONE = "A session has one connection. This page takes it: no other client can connect meanwhile, and a session without a frame limit ends when you stop.";

// What this page can be to a session: the end of its URL, the buttons, and whether there is a place.
function roleOf({spec, status}) {
  if (spec.stream && !spec.circle) {
    const most = spec.stream.maxViewers ?? 0;
    return {
      way: "mjpeg", start: "Watch", stop: "Stop watching",
      free: most > 0 && ["Ready", "Connected"].includes(status.phase),
      hint: most === 0 ? "This session admits no viewers (spec.stream.maxViewers)."
        : `Looking on takes one of ${most} viewers’ places, never the publisher’s.`,
    };
  }
  const builtIn = spec.client?.builtIn === true;
  const free = status.phase === "Ready" && !builtIn;
  const hint = builtIn ? "The built-in client has the session’s one connection." : free ? ONE : TAKEN;
  return spec.circle?.source === "Upload"
    ? {way: "whip", start: "Publish camera", stop: "Stop publishing", free, hint}
    : {way: "whep", start: "Watch", stop: "Stop watching", free, hint};
}

export function watchPanel(current, me) {
  const video = h("video", {playsinline: true, "aria-label": "Live video", hidden: true});
  video.muted = true;
  const canvas = h("canvas", {role: "img", "aria-label": "Live pictures of the stream", hidden: true});
  const connection = new Connection(video), pictures = new Pictures(canvas);
  const source = () => roleOf(current.session).way === "mjpeg" ? pictures : connection;
  const fault = h("p", {class: "fault", role: "alert"});
  const button = h("button", {type: "button", class: "main"});
  const hint = h("p", {class: "hint"}), place = h("p", {class: "hint"});
  const element = panel("Live video", hint, video, canvas, place, h("div", {class: "buttons"}, button), fault);

  async function toggle() {
    const {namespace, name} = current.session;
    const {way} = roleOf(current.session);
    if (source().playing) {
      await source().stop();
      return;
    }
    const bearer = await clientToken(current.session, me);
    const path = `/s/${namespace}/${name}/${way}`;
    if (way === "whip") {
      await connection.publish(path, bearer, (x, y) => {
        place.textContent = `The server sees the ball at ${x.toFixed(1)}, ${y.toFixed(1)}.`;
      });
    } else {
      await source().play(path, bearer, update);
    }
  }

  function update() {
    const {session} = current;
    const {playing} = source();
    const role = roleOf(session);
    if (playing && hasEnded(session)) {
      Promise.resolve(source().stop()).then(update);
      return;
    }
    element.hidden = !session.spec.circle && !session.spec.stream;
    video.hidden = !playing || role.way === "mjpeg";
    canvas.hidden = !playing || role.way !== "mjpeg";
    place.hidden = !playing;
    button.textContent = playing ? role.stop : role.start;
    button.disabled = !playing && (hasEnded(session) || !role.free);
    if (hasEnded(session)) hint.textContent = "The session has ended.";
    else if (playing && role.way !== "mjpeg") hint.textContent = "This page is the session’s client. Stop to free its place.";
    else hint.textContent = role.hint;
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
