// The router's API. The token lives in this tab only and travels in a header, never in a URL.

const KEY = "podstream-token";

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  clear: () => sessionStorage.removeItem(KEY),
};

export class ApiError extends Error {
  constructor(status, {error, message, causes}) {
    super(message);
    this.status = status;
    this.error = error;
    this.causes = causes ?? [];
  }
}

async function failure(response) {
  let body;
  try {
    body = await response.json();
  } catch {
    body = {error: "Unknown", message: `the server answered ${response.status}`};
  }
  return new ApiError(response.status, body);
}

export async function request(path, {method = "GET", body, bearer = token.get(), signal, credentials = "omit"} = {}) {
  const headers = {Accept: "application/json"};
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method, headers, signal, cache: "no-store", credentials,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw await failure(response);
  return response;
}

export const read = async (path, options) => (await request(path, options)).json();
export const sessionPath = ({namespace, name}) => `/api/v1/sessions/${namespace}/${name}`;

async function* events(path, signal) {
  const response = await request(path, {signal});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const found = {};
      for (const line of block.split("\n")) {
        const at = line.indexOf(": ");
        if (at > 0) found[line.slice(0, at)] = line.slice(at + 2);
      }
      if (found.event) yield {kind: found.event, data: JSON.parse(found.data)};
    }
  }
}

// Follows a stream until `signal` is aborted; comes back by itself when it ends or breaks off.
export async function follow(path, {signal, onEvent, onState}) {
  let wait = 500;
  while (!signal.aborted) {
    try {
      for await (const event of events(path, signal)) {
        if (event.kind === "ready") { wait = 500; onState("live"); }
        onEvent(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) {
        onState("refused", error);
        return;
      }
      onState("broken", error);
    }
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, 10000);
  }
}
