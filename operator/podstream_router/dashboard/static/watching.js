// The panel in which a session is watched: a ball's as its client, a stream's as a viewer.
import {clientToken} from "./access.js";
import {h, panel} from "./dom.js";
import {Pictures} from "./mjpeg.js";
import {Overlay} from "./overlay.js";
import {hasEnded} from "./phase.js";
import {BallPlayer} from "./player.js";
import {mayStart, watchRole} from "./roles.js";
import {Connection} from "./webrtc.js";

const FINAL = [401, 403, 410, 429, 503];  // MJPEG would be refused alike

export function watchPanel(current, me) {
  const video = h("video", {id: "live", playsinline: true, "aria-label": "Live video"});
  video.muted = true;
  const canvas = h("canvas", {role: "img", "aria-label": "Live pictures of the stream", hidden: true});
  const connection = new Connection(video, () => { fault.textContent = "The connection was lost."; update(); });
  const pictures = new Pictures(canvas);
  const overlay = new Overlay(video, {seenBy: "this page"});
  const player = new BallPlayer(connection, overlay);
  const fault = h("p", {class: "fault", role: "alert"});
  const button = h("button", {type: "button", class: "main"});
  const hint = h("p", {class: "hint"});
  const element = panel("Live video", hint, overlay.element, canvas, h("div", {class: "buttons"}, button), fault);
  const playing = () => connection.playing || pictures.playing;

  let turn = 0;  // counts stops: what was begun before one does not go on after it

  async function stop() {
    turn += 1;
    pictures.stop();
    await player.stop();
  }

  // WebRTC, and where it does not come through single pictures over HTTP.
  async function look(base, bearer, mine) {
    try {
      await connection.play(`${base}/whep`, bearer);
    } catch (error) {
      await connection.stop();
      if (mine !== turn) return;
      if (FINAL.includes(error.status)) throw error;
      await pictures.play(`${base}/mjpeg`, bearer, update);
    }
  }

  async function start() {
    const {namespace, name} = current.session;
    const mine = turn;
    const bearer = await clientToken(current.session, me);
    if (mine !== turn) return;
    const base = `/s/${namespace}/${name}`;
    if (watchRole(current.session).kind === "player") await player.play(`${base}/whep`, bearer);
    else await look(base, bearer, mine);
  }

  function words(role) {
    if (hasEnded(current.session)) return "The session has ended.";
    if (pictures.playing) return "Single pictures (MJPEG): WebRTC does not come through.";
    if (!connection.playing) return role.hint;
    return role.kind === "viewer" ? "By WebRTC (WHEP)."
      : "This page is the session’s client and says where it sees the ball. Stop to free its place.";
  }

  function update() {
    const {session} = current;
    const role = watchRole(session);
    element.hidden = role === null;
    if (role === null) return;
    if (playing() && hasEnded(session)) {
      stop().then(update);
      return;
    }
    overlay.element.hidden = !connection.playing;
    overlay.marked(role.kind === "player");
    canvas.hidden = !pictures.playing;
    button.textContent = playing() ? "Stop watching" : "Watch";
    button.disabled = !playing() && !mayStart(session, role);
    hint.textContent = words(role);
  }

  button.addEventListener("click", async () => {
    fault.textContent = "";
    button.disabled = true;
    try {
      if (playing()) await stop();
      else await start();
    } catch (error) {
      fault.textContent = error.message;
      await stop();
    }
    update();
  });
  return {element, update, stop};
}
