// Creates a session with the rights of whoever is logged in; what is wrong is said by the API itself.
import {request} from "./api.js";
import {h, notice, replace} from "./dom.js";

const KINDS = {
  circle: {circle: {width: 640, height: 480, fps: 30, frames: 300}, client: {builtIn: true}},
  stream: {stream: {width: 640, height: 480}},
  imageOps: {imageOps: {}},
};
const NAMES = {circle: "Circle: a ball over WebRTC, scored", stream: "Stream: raw frames over TCP", imageOps: "Image operations over gRPC"};

export function createPage(main, {me}) {
  const fault = h("div", {class: "fault", role: "alert", id: "create-fault"});
  const name = h("input", {id: "name", name: "name", required: true, autocomplete: "off", maxlength: "45",
    pattern: "[a-z0-9]([\\-a-z0-9]*[a-z0-9])?", "aria-describedby": "name-hint create-fault"});
  const namespace = h("select", {id: "namespace"}, ...me.mayCreateIn.map((item) => h("option", {value: item}, item)));
  const kind = h("select", {id: "kind"}, ...Object.keys(KINDS).map((item) => h("option", {value: item}, NAMES[item])));
  const spec = h("textarea", {id: "spec", spellcheck: "false", "aria-describedby": "spec-hint create-fault"});
  const fill = () => { spec.value = JSON.stringify(KINDS[kind.value], null, 2); };
  kind.addEventListener("change", fill);
  fill();
  const explain = (error) => {
    const causes = error.causes ?? [];
    replace(fault, causes.length
      ? h("ul", {}, ...causes.map((cause) => h("li", {}, cause.field ? h("code", {}, cause.field) : "", ` ${cause.message}`)))
      : error.message);
  };
  const send = async (dryRun) => {
    replace(fault);
    let parsed;
    try {
      parsed = JSON.parse(spec.value);
    } catch (error) {
      replace(fault, `The spec is no JSON: ${error.message}`);
      spec.focus();
      return;
    }
    const body = {namespace: namespace.value, name: name.value.trim(), spec: parsed, dryRun};
    try {
      await request("/api/v1/sessions", {method: "POST", body});
      if (dryRun) notice("The API would take this session.");
      else location.hash = `#/sessions/${body.namespace}/${body.name}`;
    } catch (error) {
      explain(error);
    }
  };
  const form = h("form", {class: "stack panel", onsubmit: (event) => { event.preventDefault(); send(false); }},
    h("label", {for: "namespace"}, "Namespace", namespace),
    h("label", {for: "name"}, "Name", name),
    h("p", {class: "hint", id: "name-hint"}, "Lower-case letters, digits and hyphens, 45 at most."),
    h("label", {for: "kind"}, "Start from", kind),
    h("label", {for: "spec"}, "Spec (JSON)", spec),
    h("p", {class: "hint", id: "spec-hint"}, "As in a manifest; kubectl explain streamsession.spec names every field."),
    fault,
    h("div", {class: "buttons"},
      h("button", {type: "submit", class: "main"}, "Create"),
      h("button", {type: "button", onclick: () => { if (form.reportValidity()) send(true); }}, "Check only")));
  replace(main, h("h1", {}, "New session"), form);
  document.title = "New session · podstream";
  name.focus();
}
