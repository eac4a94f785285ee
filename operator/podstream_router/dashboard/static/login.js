import {read, token} from "./api.js";
import {h, replace} from "./dom.js";

export function loginPage(main, {onLogin, message = ""}) {
  const fault = h("p", {class: "fault", role: "alert", id: "login-fault"}, message);
  const field = h("input", {
    id: "token", name: "token", type: "password", autocomplete: "off", required: true,
    spellcheck: "false", "aria-describedby": "token-hint login-fault",
  });
  const submit = async (event) => {
    event.preventDefault();
    fault.textContent = "";
    const text = field.value.trim();
    try {
      const me = await read("/api/v1/me", {bearer: text});
      token.set(text);
      onLogin(me);
    } catch (error) {
      fault.textContent = error.message;
      field.focus();
    }
  };
  replace(main,
    h("h1", {}, "Log in"),
    h("form", {class: "stack panel", onsubmit: submit},
      h("label", {for: "token"}, "Token", field),
      h("div", {class: "hint", id: "token-hint"},
        h("p", {}, "A session’s token opens that session: ",
          h("code", {}, "kubectl podstream view NAME --token")),
        h("p", {}, "A Kubernetes token opens what its owner may see: ",
          h("code", {}, "kubectl create token ACCOUNT"))),
      fault,
      h("div", {class: "buttons"}, h("button", {class: "main", type: "submit"}, "Log in"))));
  document.title = "Log in · podstream";
  field.focus();
}
