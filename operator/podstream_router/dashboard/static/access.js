// The token with which a client of a session connects: one's own, or for a person the session's, read
// with their rights.
import {read, sessionPath, token} from "./api.js";

export async function clientToken(session, me) {
  if (me.kind === "session") return token.get();
  if (session.spec.access?.mode === "Public") return null;
  return (await read(`${sessionPath(session)}/token`)).token;
}
