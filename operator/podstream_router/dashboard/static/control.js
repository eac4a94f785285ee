// What can be done to a session: end it, start and stop its stream, record.
import {request, sessionPath} from "./api.js";
import {h, notice, panel} from "./dom.js";
import {hasEnded} from "./phase.js";

export function controlPanel(current) {
  const fault = h("p", {class: "fault", role: "alert"});
  const act = (path, body, done) => async ({currentTarget}) => {
    fault.textContent = "";
    currentTarget.disabled = true;
    try {
      await request(`${sessionPath(current.session)}/${path}`, {method: "POST", body: body()});
      notice(done);
    } catch (error) {
      fault.textContent = error.message;
    }
    update();
  };
  const stream = () => current.session.spec.stream;
  const running = () => (stream()?.state ?? "Running") === "Running";
  const recording = () => stream()?.recording?.enabled === true;
  const toggle = h("button", {type: "button",
    onclick: act("stream", () => ({state: running() ? "Stopped" : "Running"}), "The stream is told.")});
  const record = h("button", {type: "button",
    onclick: act("recording", () => ({enabled: !recording()}), "The recording is told.")});
  const sure = h("button", {type: "button", class: "danger", hidden: true,
    onclick: act("end", () => ({}), "The session ends.")}, "End it now");
  const end = h("button", {type: "button", class: "danger", "aria-expanded": "false", onclick: () => {
    sure.hidden = !sure.hidden;
    end.setAttribute("aria-expanded", String(!sure.hidden));
    if (!sure.hidden) sure.focus();
  }}, "End session …");
  const element = panel("Control", h("div", {class: "buttons"}, toggle, record, end, sure), fault);
  const update = () => {
    const over = hasEnded(current.session);
    element.hidden = over;
    // Where the cluster's API has no such member there is no such button.
    toggle.hidden = stream()?.state === undefined;
    toggle.textContent = running() ? "Stop stream" : "Start stream";
    record.hidden = stream()?.recording?.enabled === undefined;
    record.textContent = recording() ? "Stop recording" : "Start recording";
    for (const button of [toggle, record, end, sure]) button.disabled = over;
  };
  return {element, update};
}
