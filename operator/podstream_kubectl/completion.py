"""Shell completion: kubectl's own way, and scripts for the command by its own name.

kubectl (1.26 and later) completes `kubectl podstream ...` by running an executable called
`kubectl_complete-podstream` with the words so far; it prints one candidate a line, with a tab
before its description, and last a directive of the cobra library: `:4` for candidates only, `:0`
where files may follow (https://github.com/spf13/cobra/blob/main/site/content/completions/_index.md).
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from podstream_kubectl.arguments import build_parser
from podstream_kubectl.console import Console
from podstream_kubectl.errors import PluginError
from podstream_kubectl.kubectl import Kubectl, Scope
from podstream_kubectl.sessions import list_sessions
from podstream_kubectl.suggestions import suggest

NO_FILES: Final = ":4"
FILES: Final = ":0"

_BASH: Final = """# completion of kubectl-podstream for bash
_kubectl_podstream() {
    local answer line directive
    answer=$(kubectl_complete-podstream "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    directive=${answer##*:}
    COMPREPLY=()
    while IFS= read -r line; do
        [[ -n $line && $line != :* ]] && COMPREPLY+=("${line%%$'\\t'*}")
    done <<< "$answer"
    if [[ $directive == 0 && ${#COMPREPLY[@]} -eq 0 ]]; then
        compopt -o default
    fi
}
complete -F _kubectl_podstream kubectl-podstream
"""
_ZSH: Final = """#compdef kubectl-podstream
# completion of kubectl-podstream for zsh
_kubectl_podstream() {
    local answer line directive
    local -a found
    answer=$(kubectl_complete-podstream "${(@)words[2,CURRENT]}" 2>/dev/null)
    directive=${answer##*:}
    for line in "${(@f)answer}"; do
        [[ -n $line && $line != :* ]] || continue
        found+=("${line/$'\\t'/:}")
    done
    if (( ${#found} )); then
        _describe 'podstream' found
    elif [[ $directive == 0 ]]; then
        _files
    fi
}
if [[ $funcstack[1] == _kubectl-podstream ]]; then
    _kubectl_podstream
else
    compdef _kubectl_podstream kubectl-podstream
fi
"""
_FISH: Final = """# completion of kubectl-podstream for fish
function __kubectl_podstream
    set -l words (commandline -opc) (commandline -ct)
    set -l answer (kubectl_complete-podstream $words[2..-1] 2>/dev/null)
    if test "$answer[-1]" = ":0" -a (count $answer) -eq 1
        __fish_complete_path (commandline -ct)
        return
    end
    string match -v -r '^:\\d+$' -- $answer
end
complete -c kubectl-podstream -f -a '(__kubectl_podstream)'
"""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def print_script(options: argparse.Namespace, *, console: Console) -> None:
    """Print the script of a shell."""
    console.write(SCRIPTS[options.shell])


def answer(words: Sequence[str], *, names: Iterable[str] | None = None) -> str:
    """What `kubectl_complete-podstream` prints.

    Args:
        words: the words after the command's name, the last one unfinished.
        names: sessions; `None`: ask the cluster that the words name.
    """

    def sessions() -> Iterable[str]:
        return names if names is not None else _names_in_cluster(words)

    found = suggest(build_parser(), words, names=sessions)
    lines = [f"{name}\t{text}" if text else name for name, text in found.candidates]
    return "\n".join([*lines, FILES if found.files else NO_FILES]) + "\n"


def _names_in_cluster(words: Sequence[str]) -> list[str]:
    """Names of sessions; none where the cluster does not answer: completion must not fail."""
    scope = {"--namespace": None, "-n": None, "--context": None, "--kubeconfig": None}
    given: dict[str, str | None] = dict(scope)
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in given:
            following = words[index + 1] if index + 1 < len(words) else None
            given[option] = value if equals else following
    namespace = given["--namespace"] or given["-n"]
    api = Kubectl(Scope(namespace, given["--context"], given["--kubeconfig"]))
    try:
        return [session.name for session in list_sessions(api)]
    except PluginError:
        return []


def main() -> None:
    """Entry point of `kubectl_complete-podstream`."""
    Console().write(answer(sys.argv[1:]))
