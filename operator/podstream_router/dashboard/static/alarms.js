// Alarms of an intruder detection's edge, as its figures tell them: how many, and when the last one was.
import {h, panel, replace, table} from "./dom.js";

const SHOWN = 20;

export function alarmsPanel(current) {
  const alarms = [];  // the newest first
  let known;
  const sum = h("p", {}), list = h("div", {});
  const element = panel("Alarms",
    h("p", {class: "hint"}, "Pictures with somebody whom the cloud does not know. Listed are those since this page was opened, and the last one before."),
    sum, list);

  // `results`: the session's figures, every second while its pod is there.
  function take(results) {
    const edge = results?.tracking?.edge;
    if (!edge) return;
    const raised = edge.intruders ?? 0;
    if (raised < known) return;  // the status lags behind the pod's own figures
    if (raised > (known ?? 0) && edge.lastAlarm) {
      alarms.unshift({at: edge.lastAlarm, count: known === undefined ? 1 : raised - known});
      alarms.length = Math.min(alarms.length, SHOWN);
    }
    known = raised;
    sum.textContent = `${raised} raised; in pictures with persons ${edge.known ?? 0} were known, ${edge.unknown ?? 0} strangers, ${edge.undetermined ?? 0} could not be told${edge.message ? ` (${edge.message})` : ""}.`;
    replace(list, alarms.length ? table("Alarms, the newest first",
      [{text: "Time (UTC)"}, {text: "Alarms", number: true}], alarms.map(({at, count}) => [at, String(count)])) : "");
  }

  function update() {
    element.hidden = !current.session.spec.tracking?.edge;
    take(current.session.status.results);
  }
  return {element, update, take};
}
