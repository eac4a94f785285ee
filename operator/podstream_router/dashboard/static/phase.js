// Where a session stands.

export const phaseOf = (session) => session.deleting ? "Deleting" : session.status.phase ?? "Pending";
export const hasEnded = (session) => session.deleting || ["Completed", "Failed"].includes(session.status.phase);
