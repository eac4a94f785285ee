import {age, figure, h, panel, replace, table} from "./dom.js";
import {phaseOf} from "./phase.js";

const number = (text) => ({text, number: true});
const SESSION = [{text: "Session"}, {text: "Phase"}, {text: "Workloads"}, {text: "Pod"},
  number("RMSE px"), number("FPS"), {text: "Reason"}, {text: "Age"}];
const POOL = [{text: "Pool"}, number("Warm"), number("Ready"), number("In use"), number("Max"), {text: "State"}];

const byName = (a, b) => `${a.namespace}/${a.name}`.localeCompare(`${b.namespace}/${b.name}`);

function sessionRow(session) {
  const {status, namespace, name} = session;
  const results = Object.values(status.results ?? {}).filter((value) => typeof value === "object" && value);
  const find = (member) => results.map((result) => result[member]).find((value) => value !== undefined);
  const phase = phaseOf(session);
  return [
    h("a", {href: `#/sessions/${namespace}/${name}`}, `${namespace}/${name}`),
    h("span", {class: `phase ${phase}`}, phase),
    status.workloads ?? "", status.pod?.name ?? "",
    figure(find("rmsePx")), figure(find("fps") ?? find("framesPerSecond")),
    status.reason ?? "", age(session.created),
  ];
}

function poolRow(pool) {
  const ready = (pool.status.conditions ?? []).find((condition) => condition.type === "Ready");
  const {status, spec} = pool;
  return [
    `${pool.namespace}/${pool.name}`, figure(spec.warm), figure(status.warm),
    figure(status.inUse), figure(spec.max), ready ? `${ready.reason}` : "",
  ];
}

export function listPage(main, {store, me}) {
  const filter = h("input", {id: "filter", type: "search", autocomplete: "off", oninput: () => draw()});
  const sessions = h("div", {});
  const pools = h("div", {});
  replace(main, h("h1", {}, "Sessions"),
    h("label", {for: "filter"}, "Show those that contain ", filter), sessions, pools);
  document.title = "Sessions · podstream";
  let drawn = 0;
  const draw = () => {
    drawn = 0;
    const focused = document.activeElement?.getAttribute?.("href");
    const all = [...store.sessions.values()].sort(byName);
    const wanted = filter.value.trim().toLowerCase();
    const text = (session) => `${session.namespace}/${session.name} ${phaseOf(session)} ${session.status.workloads} ${session.status.reason}`;
    const found = all.filter((session) => text(session).toLowerCase().includes(wanted));
    const none = !store.ready ? "Loading …" : all.length ? "None of them." : "There are no sessions.";
    replace(sessions, panel(`Sessions (${found.length})`,
      found.length ? table("Live: changes appear by themselves", SESSION, found.map(sessionRow)) : h("p", {}, none)));
    if (me.kind === "person") {
      const known = [...store.pools.values()].sort(byName);
      replace(pools, panel("Pools",
        known.length ? table("Pods kept warm", POOL, known.map(poolRow)) : h("p", {}, "There are no pools.")));
    }
    // Drawing anew must not take the keyboard's place away.
    if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  };
  draw();
  return () => { drawn ||= requestAnimationFrame(draw); };
}
