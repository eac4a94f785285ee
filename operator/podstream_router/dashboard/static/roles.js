// What this page can be to a session: somebody who watches, somebody who publishes, or nobody.
import {hasEnded} from "./phase.js";

const TAKEN = "The session’s one connection is taken, or its pod is not ready.";
const ONE = "A session has one connection. This page takes it: no other client can connect meanwhile, and a session without a frame limit ends when you stop.";
const BUILT_IN = "The built-in client has the session’s one connection.";

const isLive = ({status}) => ["Ready", "Connected"].includes(status.phase);

// The one place of a session of the ball: free, and in words.
function onePlace({spec, status}) {
  const builtIn = spec.client?.builtIn === true;
  const free = status.phase === "Ready" && !builtIn;
  return {free, hint: builtIn ? BUILT_IN : free ? ONE : TAKEN};
}

// Whether the server draws a ball for a client to find; otherwise it looks at what comes in.
export const isPlayed = ({spec}) => spec.circle !== undefined && (spec.circle.source ?? "Generated") === "Generated";
// Whether who publishes is told where the server sees the ball.
export const isAnswered = ({spec}) => ["Upload", "Stream"].includes(spec.circle?.source);

// `kind`: "player" plays the ball and answers, "viewer" looks on at a stream.
export function watchRole(session) {
  const {stream} = session.spec;
  if (isPlayed(session)) return {kind: "player", ...onePlace(session)};
  if (!stream) return null;
  const most = stream.maxViewers ?? 0;
  return {
    kind: "viewer",
    free: most > 0 && isLive(session),
    hint: most === 0 ? "This session admits no viewers (spec.stream.maxViewers)."
      : `Looking on takes one of ${most} viewers’ places, never the publisher’s.`,
  };
}

export function publishRole(session) {
  const {circle, stream} = session.spec;
  if (stream?.source?.type === "WHIP") {
    return {
      free: isLive(session), width: stream.width ?? 640, height: stream.height ?? 480, fps: 30,
      hint: "Publishing takes the session’s one publisher’s place; the session ends some seconds after you stop.",
    };
  }
  if (circle?.source === "Upload") return {...onePlace(session), width: 640, height: 480, fps: 30};
  return null;
}

export const mayStart = (session, role) => role !== null && role.free && !hasEnded(session);
