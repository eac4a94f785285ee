// One session: where it stands, live video and figures, control, and what it leaves behind.
import {alarmsPanel} from "./alarms.js";
import {read, sessionPath} from "./api.js";
import {controlPanel} from "./control.js";
import {filesPanel} from "./files.js";
import {figure, h, notice, panel, replace, table} from "./dom.js";
import {figuresOf} from "./figures.js";
import {hasEnded, phaseOf} from "./phase.js";
import {Plot} from "./plot.js";
import {publishPanel} from "./publishing.js";
import {isPlayed} from "./roles.js";
import {sitePanel} from "./site.js";
import {watchPanel} from "./watching.js";

function resultsTable(results) {
  const rows = [...figuresOf(results ?? {})].map(([workload, path, value]) => [workload, path, figure(value)]);
  if (!rows.length) return h("p", {}, "No results yet.");
  const caption = results.final ? "Final" : "Live, not final yet";
  return table(caption, [{text: "Workload"}, {text: "Figure"}, {text: "Value", number: true}], rows);
}

function storyTable(session) {
  const {timeline = {}, conditions = []} = session.status;
  const steps = Object.entries(timeline).sort((a, b) => a[1].localeCompare(b[1]));
  return [
    steps.length ? table("Timeline (UTC)", [{text: "Step"}, {text: "Time"}], steps) : "",
    conditions.length ? table("Conditions",
      [{text: "Condition"}, {text: "Status"}, {text: "Reason"}, {text: "Message"}],
      conditions.map((item) => [item.type, item.status, item.reason, item.message ?? ""])) : "",
  ];
}

function eventsPanel(current, me) {
  const place = h("div", {}, h("p", {}, "Loading …"));
  const load = async () => {
    if (me.kind !== "person") return;
    try {
      const {items} = await read(`${sessionPath(current.session)}/kubernetes-events`);
      replace(place, items.length ? table("The latest last",
        [{text: "Time"}, {text: "Type"}, {text: "Reason"}, {text: "Note"}],
        items.map((item) => [item.at, item.type, item.reason, item.note])) : h("p", {}, "None (any more)."));
    } catch (error) {
      replace(place, h("p", {class: "fault"}, error.message));
    }
  };
  if (me.kind === "person") load();
  else replace(place, h("p", {class: "hint"}, "Events need a Kubernetes login; the conditions say the same."));
  return {element: panel("Events", place), load};
}

export function sessionPage(main, {session, me}) {
  const current = {session};
  const state = h("p", {role: "status"});
  const results = h("div", {}, resultsTable(session.status.results));
  const story = h("div", {});
  const plot = new Plot({title: "Error of the estimates", first: "RMSE", second: "95th percentile", unit: "px"});
  const video = watchPanel(current, me);
  const webcam = publishPanel(current, me);
  const site = sitePanel(current, me);
  const alarms = alarmsPanel(current);
  const control = controlPanel(current);
  const files = filesPanel(current, me);
  const events = eventsPanel(current, me);
  const error = panel("Error over time", plot.element);
  let phase;
  replace(main,
    h("h1", {}, `${session.namespace}/${session.name}`), state, control.element,
    h("div", {class: "columns"}, webcam.element, video.element, error), site.element, alarms.element,
    panel("Results", results), files.element, panel("Story", story), events.element);
  document.title = `${session.name} · podstream`;

  const figures = (found, at) => {
    replace(results, resultsTable(found));
    if (at !== undefined) plot.add(at, found?.circle?.rmsePx, found?.circle?.errorP95Px);
    files.update(found ?? undefined);
    alarms.take(found);
  };
  const update = (next) => {
    current.session = next;
    const {status} = next;
    const now = phaseOf(next);
    replace(state, h("span", {class: `phase ${now}`}, now),
      status.reason ? ` ${status.reason}` : "", status.message ? `: ${status.message}` : "",
      status.pod ? ` · pod ${status.pod.name} on ${status.pod.node ?? "?"} (${status.pod.origin ?? "?"})` : "");
    error.hidden = !isPlayed(next);
    replace(story, ...storyTable(next));
    if (hasEnded(next)) figures(status.results);
    for (const part of [video, webcam, site, alarms, control, files]) part.update();
    if (phase !== now) {
      if (phase !== undefined) { notice(`${next.name} is ${now}`); events.load(); }
      phase = now;
    }
  };
  update(session);
  const leave = () => { for (const part of [video, webcam, site, files]) part.stop(); };
  addEventListener("pagehide", leave);
  return {
    onEvent: ({kind, data}) => {
      if (kind === "session") update(data);
      if (kind === "figures" && !hasEnded(current.session)) figures(data.results, data.at);
      if (kind === "session-gone") notice("The session has been deleted.");
    },
    close: () => { removeEventListener("pagehide", leave); leave(); },
  };
}
