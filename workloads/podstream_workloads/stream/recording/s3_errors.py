"""What an S3 server's refusal, or its silence, means: one line out of an error of obstore.

Such an error is a sentence, the server's answer and a dump of every layer below, with the whole
request and the time it took. Status says the cause, and the same as long as it is the same.
"""

import re
from typing import Final

_ELEMENT: Final = re.compile(r"<(Code|Message)>([^<]{1,300})</")
_SYSTEM: Final = re.compile(r"(?:message|error): \"([^\"]{1,200})\"")
_NOISE: Final = re.compile(r"Error performing \w+ \S+ in \S+ - |Generic S3 error: ")
_CHARS: Final = 300

_HINTS: Final = (
    ("InvalidCertificate", "its certificate is not trusted: put its CA under ca.crt in the Secret"),
    ("CertificateError", "its certificate is not trusted: put its CA under ca.crt in the Secret"),
    (
        "TimedOut",
        "no answer in time; session pods reach only what the chart's networkPolicy.storage names",
    ),
)
_WITHOUT_WORDS: Final = (
    ("404 Not Found", "404 Not Found: is there such a bucket?"),
    ("403 Forbidden", "403 Forbidden: the credentials may not write there"),
)


def explain(text: str) -> str:
    """The cause.

    Args:
        text: of the exception.
    """
    said = dict(_ELEMENT.findall(text))
    if said:
        return f"{said.get('Code', '')}: {said.get('Message', '')}"[:_CHARS]
    system = _SYSTEM.search(text)
    if system is not None:
        return system[1]
    for mark, words in (*_HINTS, *_WITHOUT_WORDS):
        if mark in text:
            return words
    return _NOISE.sub("", text.strip().partition("\n")[0])[:_CHARS]
