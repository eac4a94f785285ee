"""Writes the session template inside `crds/streampool.yaml` from `crds/streamsession.yaml`.

A pool's template is a session's spec without what belongs to one session alone (`client`,
`listeners`, `poolRef`) and without the rules about changes: a template may change at any time.
`python tests/tools/pool_template.py` writes, `--check` only compares and exits 1 on a difference.
"""

import argparse
import copy
import sys
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
SESSION: Final = ROOT / "crds" / "streamsession.yaml"
POOL: Final = ROOT / "crds" / "streampool.yaml"

BEGIN: Final = "# BEGIN generated from streamsession.yaml by tests/tools/pool_template.py"
END: Final = "# END generated"
OWN_TO_SESSIONS: Final = ("client", "listeners", "poolRef")
POOL_TTL_SECONDS: Final = 600
"""Sessions that connections make are many: they stay for minutes, not for a day."""

Schema = dict[str, Any]


def template_schema(session_crd: dict[str, Any]) -> Schema:
    """The schema of `spec.template.spec` of a StreamPool."""
    (version,) = session_crd["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    members = {
        name: copy.deepcopy(member)
        for name, member in spec["properties"].items()
        if name not in OWN_TO_SESSIONS
    }
    ttl = members["ttlSecondsAfterFinished"]
    ttl["description"] = ttl["description"].replace(
        f"Default {ttl['default']}", f"Default {POOL_TTL_SECONDS}"
    )
    ttl["default"] = POOL_TTL_SECONDS
    for member in members.values():
        member["description"] = member["description"].removesuffix(" Can be changed.")
    rules = [
        rule
        for rule in spec["x-kubernetes-validations"]
        if "oldSelf" not in rule["rule"]
        and not any(f"self.{name}" in rule["rule"] for name in OWN_TO_SESSIONS)
    ]
    return {
        "type": "object",
        "description": (
            "Spec of every session of the pool, as streamsession.spec without client, listeners "
            "and poolRef. Where a change alters the pod (image, pod settings), idle pods are "
            "replaced one after the other; sessions in use keep theirs."
        ),
        "x-kubernetes-validations": rules,
        "properties": members,
    }


def render(pool_text: str, *, session_crd: dict[str, Any]) -> str:
    """The pool's CRD with the template between its two markers made anew.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = pool_text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{POOL.name} lacks the markers {BEGIN!r} and {END!r}")
    indent = before[before.rindex("\n") + 1 :]
    text = yaml.safe_dump(
        template_schema(session_crd), sort_keys=False, width=100 - len(indent), allow_unicode=True
    )
    lines = [f"{indent}{line}" if line else "" for line in text.splitlines()]
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{indent}{END}{after}"


def main() -> int:
    """Write, or compare with `--check`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    present = POOL.read_text()
    wanted = render(present, session_crd=yaml.safe_load(SESSION.read_text()))
    if wanted == present:
        return 0
    if options.check:
        print(f"{POOL.relative_to(ROOT)} differs: run python tests/tools/pool_template.py")
        return 1
    POOL.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
