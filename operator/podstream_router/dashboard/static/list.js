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
  const sessions = h("div", {});
  const pools = h("div", {});
  replace(main, h("h1", {}, "Sessions"), sessions, pools);
  document.title = "Sessions · podstream";
  let drawn = 0;
  const draw = () => {
    drawn = 0;
    const focused = document.activeElement?.getAttribute?.("href");
    const found = [...store.sessions.values()].sort(byName);
    replace(sessions, panel("Sessions",
      found.length ? table("Live: changes appear by themselves", SESSION, found.map(sessionRow))
        : h("p", {}, store.ready ? "There are no sessions." : "Loading …")));
    if (me.kind === "person") {
      const all = [...store.pools.values()].sort(byName);
      replace(pools, panel("Pools",
        all.length ? table("Pods kept warm", POOL, all.map(poolRow)) : h("p", {}, "There are no pools.")));
    }
    // Drawing anew must not take the keyboard's place away.
    if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  };
  draw();
  return () => { drawn ||= requestAnimationFrame(draw); };
}
