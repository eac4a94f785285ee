// A session's results as rows of workload, path and value, the same in the table and in the file.

function* flatten(value, path = "") {
  if (Array.isArray(value)) {
    for (const [index, member] of value.entries()) yield* flatten(member, `${path}[${index}]`);
  } else if (value !== null && typeof value === "object") {
    for (const [name, member] of Object.entries(value)) yield* flatten(member, path ? `${path}.${name}` : name);
  } else {
    yield [path, value];
  }
}

export function* figuresOf(results) {
  for (const [workload, figures] of Object.entries(results)) {
    if (figures === null || typeof figures !== "object") continue;  // "final", say
    for (const [path, value] of flatten(figures)) yield [workload, path, value];
  }
}
