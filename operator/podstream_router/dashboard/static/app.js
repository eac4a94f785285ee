// Where one is on the page, who one is, and the stream that keeps it up to date.
import {follow, read, sessionPath, token} from "./api.js";
import {createPage} from "./create.js";
import {h, notice, replace} from "./dom.js";
import {listPage} from "./list.js";
import {loginPage} from "./login.js";
import {sessionPage} from "./session.js";

const main = document.getElementById("main");
let me;
let leave = () => {};
let turn = 0;

function logOut(message = "") {
  leave();
  leave = () => {};
  turn += 1;
  token.clear();
  me = undefined;
  frame();
  loginPage(main, {message, onLogin: (found) => { me = found; frame(); route(); }});
}

function frame() {
  const links = [];
  if (me?.kind === "person") {
    links.push(h("a", {href: "#/"}, "Sessions"));
    if (me.mayCreateIn.length) links.push(h("a", {href: "#/new"}, "New session"));
  }
  replace(document.getElementById("nav"), ...links);
  const name = me?.kind === "person" ? me.name : me && `session ${me.session.namespace}/${me.session.name}`;
  replace(document.getElementById("who"), ...(me ? [`${name} `,
    h("button", {type: "button", onclick: () => logOut()}, "Log out")] : []));
}

function stream(path, onEvent) {
  const stop = new AbortController();
  let broken = false;
  follow(path, {signal: stop.signal, onEvent, onState: (state, error) => {
    if (state === "refused") {
      if (error.status === 404) notice(error.message);  // what one looked at is gone, not one's rights
      else logOut(error.message);
    }
    else if (state === "broken" && !broken) { broken = true; notice("The connection broke off; trying again …"); }
    else if (state === "live" && broken) { broken = false; notice("Connected again."); }
  }});
  return () => stop.abort();
}

function showList() {
  const store = {sessions: new Map(), pools: new Map(), ready: false};
  const draw = listPage(main, {store, me});
  const apply = ({kind, data}) => {
    const key = `${data.namespace}/${data.name}`;
    if (kind === "session") store.sessions.set(key, data);
    if (kind === "session-gone") store.sessions.delete(key);
    if (kind === "pool") store.pools.set(key, data);
    if (kind === "pool-gone") store.pools.delete(key);
    if (kind === "ready") store.ready = true;
    draw();
  };
  const stop = stream("/api/v1/events", apply);
  const clock = setInterval(draw, 5000);
  return () => { stop(); clearInterval(clock); };
}

async function readSession(key) {
  const mine = turn;
  replace(main, h("p", {}, "Loading …"));
  try {
    return await read(sessionPath(key));
  } catch (error) {
    if (mine === turn) {
      replace(main, h("h1", {}, `${key.namespace}/${key.name}`), h("p", {class: "fault", role: "alert"}, error.message));
    }
    return null;
  }
}

function showSession(session) {
  const page = sessionPage(main, {session, me});
  const stop = stream(`${sessionPath(session)}/events`, page.onEvent);
  return () => { stop(); page.close(); };
}

async function route() {
  leave();
  leave = () => {};
  const mine = ++turn;
  const [, place, namespace, name] = location.hash.split("/");
  const key = me.kind === "session" ? me.session : place === "sessions" && namespace && name ? {namespace, name} : null;
  if (key) {
    const session = await readSession(key);
    if (mine !== turn) return;  // meanwhile one has gone elsewhere
    if (session) leave = showSession(session);
  } else if (place === "new" && me.mayCreateIn.length) createPage(main, {me});
  else leave = showList();
  main.focus({preventScroll: true});
}

addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  if (me) route();
});

if (token.get()) {
  read("/api/v1/me").then((found) => { me = found; frame(); return route(); }, (error) => logOut(error.message));
} else {
  logOut();
}
