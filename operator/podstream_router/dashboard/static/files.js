// What a session leaves behind: its results as files, and the files that its pod has finished.
import {clientToken} from "./access.js";
import {read, request, sessionPath} from "./api.js";
import {figure, h, panel, replace, table} from "./dom.js";
import {figuresOf} from "./figures.js";
import {hasEnded} from "./phase.js";

const RENEW_MS = 120000;  // a pass lasts five minutes

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
  const pathOf = (file) => `/s/${current.session.namespace}/${current.session.name}/results/${encodeURIComponent(file)}`;
  const open = async (file) => request(pathOf(file), {bearer: await clientToken(current.session, me)});
  let renewing, turn = 0;  // counts stops: a pass that comes after one is renewed no more
  // A media element sends no token: for a while the browser holds a cookie that opens these files.
  const admit = async () => {
    const bearer = await clientToken(current.session, me);
    if (bearer === null) return;
    await request(`${sessionPath(current.session)}/files/pass`, {method: "POST", bearer, credentials: "same-origin"});
  };
  const stop = () => { turn += 1; clearInterval(renewing); replace(screen); };
  const view = (file, label, make) => h("button", {type: "button", onclick: async () => {
    fault.textContent = "";
    stop();
    const mine = turn;
    try {
      await admit();
      if (mine !== turn) return;
      const shown = make(file);
      shown.addEventListener("error", () => { fault.textContent = `${file} cannot be shown: ${shown.error?.message || "it may have gone with its pod"}`; });
      shown.src = pathOf(file);
      replace(screen, shown);
      renewing = setInterval(() => admit().catch((error) => { fault.textContent = error.message; }), RENEW_MS);
    } catch (error) {
      fault.textContent = error.message;
    }
  }}, label);
  // A player asks for the parts that it needs (Range).
  const film = (file) => h("video", {controls: true, preload: "metadata", "aria-label": `Recording ${file}`});
  const picture = (file) => h("img", {alt: `Picture ${file}`});
  const viewed = (file) => /\.mp4$/.test(file) ? view(file, "Play", film)
    : /\.(jpg|png)$/.test(file) ? view(file, "Show", picture) : "";
  const row = ({name, size, sha256}) => [
    download(name, () => open(name)), figure(size), h("code", {}, (sha256 ?? "").slice(0, 12)),
    viewed(name),
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
      [{text: "File"}, {text: "Bytes", number: true}, {text: "SHA-256"}, {text: "View"}], items.map(row)) : "");
  };
  // `results`: the newest ones; the status lags behind the pod's own.
  const update = (results = current.session.status.results) => {
    const {session} = current;
    latest = results ?? latest;
    const text = (type, make) => async () => new Response(new Blob([make()], {type}));
    const done = [latest?.stream?.recording?.files, latest?.imageOps?.batch?.done, latest?.tracking?.edge?.lastEvidence];
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
  return {element, update, stop};
}
