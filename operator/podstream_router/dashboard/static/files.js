// What a session leaves behind: its results as files, and the files that its pod has finished.
import {clientToken} from "./access.js";
import {read, request, sessionPath} from "./api.js";
import {figure, h, panel, replace, table} from "./dom.js";
import {figuresOf} from "./figures.js";
import {hasEnded} from "./phase.js";

function csv(session, results) {
  const quote = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const lines = ["session,workload,figure,value"];
  for (const row of figuresOf(results)) lines.push([session.name, ...row].map(quote).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

async function save(name, response) {
  const link = h("a", {href: URL.createObjectURL(await response.blob()), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export function filesPanel(current, me) {
  const fault = h("p", {class: "fault", role: "alert"});
  const place = h("div", {});
  const screen = h("div", {});
  const download = (name, make) => h("button", {type: "button", onclick: async () => {
    fault.textContent = "";
    try {
      await save(name, await make());
    } catch (error) {
      fault.textContent = error.message;
    }
  }}, name);
  const open = async (file) => {
    const {namespace, name} = current.session;
    const bearer = await clientToken(current.session, me);
    return request(`/s/${namespace}/${name}/results/${encodeURIComponent(file)}`, {bearer});
  };
  const play = (file) => h("button", {type: "button", onclick: async () => {
    fault.textContent = "";
    try {
      const source = URL.createObjectURL(await (await open(file)).blob());
      replace(screen, h("video", {src: source, controls: true, "aria-label": `Recording ${file}`}));
    } catch (error) {
      fault.textContent = error.message;
    }
  }}, "Play");
  const row = ({name, size, sha256}) => [
    download(name, () => open(name)), figure(size), h("code", {}, (sha256 ?? "").slice(0, 12)),
    name.endsWith(".mp4") ? play(name) : "",
  ];
  const buttons = h("div", {class: "buttons"});
  const element = panel("Files", buttons, place, screen, fault);
  let known, latest;
  const load = async () => {
    let items = [];
    try {
      ({items} = await read(`${sessionPath(current.session)}/files`));
    } catch {
      // Without a pod there are no files; the status says what there was.
    }
    replace(place, items.length ? table("Finished files: they go with the session’s pod",
      [{text: "File"}, {text: "Bytes", number: true}, {text: "SHA-256"}, {text: "Play"}], items.map(row)) : "");
  };
  // `results`: the newest ones; the status lags behind the pod's own.
  const update = (results = current.session.status.results) => {
    const {session} = current;
    latest = results ?? latest;
    const text = (type, make) => async () => new Response(new Blob([make()], {type}));
    const done = [latest?.stream?.recording?.files, latest?.imageOps?.batch?.done];
    const marker = JSON.stringify([session.status.phase, latest === undefined, done]);
    if (known === marker) return;
    known = marker;
    replace(buttons,
      ...(latest ? [
        download(`${session.name}.json`, text("application/json", () => JSON.stringify(latest, null, 2))),
        download(`${session.name}.csv`, text("text/csv", () => csv(session, latest))),
      ] : [h("p", {}, hasEnded(session) ? "The session has no results." : "No results yet.")]));
    load();
  };
  return {element, update};
}
