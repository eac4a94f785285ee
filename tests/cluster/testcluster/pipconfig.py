"""The machine's own pip settings, in a form that works inside an image while it is built.

Only what is needed to reach an index: its address, trust, time limits. Files that settings name
are copied along, because their paths mean nothing in the image.
"""

import configparser
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

MOUNTED_AT = "/etc/xdg/pip"
"""pip reads pip.conf in this folder, in a virtual environment too; images have nothing there."""

_COPIED_OPTIONS = (
    "extra-index-url",
    "index-url",
    "no-index",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
)
_ALIASES = {"default-timeout": "timeout"}
_CERTIFICATE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """Return where pip looks for its settings, weakest first."""
    if explicit := environ.get("PIP_CONFIG_FILE"):
        return [Path(explicit)]
    home = Path(environ.get("HOME", "/root"))
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        user / "pip" / "pip.conf",
    ]


def machine_options(environ: Mapping[str, str], *, files: Sequence[Path]) -> dict[str, str]:
    """Return the machine's pip options from its files and, stronger, its environment."""
    options: dict[str, str] = {}
    for path in files:
        # pip's files have no interpolation: a % in a password is a %.
        parser = configparser.RawConfigParser()
        parser.read(path)
        for section in ("global", "install"):
            if parser.has_section(section):
                options |= dict(parser.items(section))
    for name, value in environ.items():
        if name.startswith("PIP_"):
            options[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return {_ALIASES.get(name, name): value for name, value in options.items()}


def certificates(options: Mapping[str, str], environ: Mapping[str, str]) -> Path | None:
    """Return the bundle of certificates that the machine's pip trusts, if it is told of one."""
    named = [options.get("cert", ""), *(environ.get(name, "") for name in _CERTIFICATE_VARIABLES)]
    return next((Path(name) for name in named if name and Path(name).is_file()), None)


def render(options: Mapping[str, str], *, has_certificates: bool) -> str:
    """Return the pip.conf for inside, naming the mounted bundle and wheel cache."""
    kept = {name: options[name] for name in _COPIED_OPTIONS if name in options}
    kept["cache-dir"] = f"{MOUNTED_AT}/cache"
    if has_certificates:
        kept["cert"] = f"{MOUNTED_AT}/ca.pem"
    parser = configparser.RawConfigParser()
    parser["global"] = kept
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def write(folder: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Write pip.conf, and the bundle where there is one, into the folder to be mounted."""
    options = machine_options(environ, files=config_files(environ))
    bundle = certificates(options, environ)
    (folder / "ca.pem").unlink(missing_ok=True)
    if bundle is not None:
        shutil.copyfile(bundle, folder / "ca.pem")
    pip_conf = folder / "pip.conf"
    pip_conf.write_text(render(options, has_certificates=bundle is not None))
    pip_conf.chmod(0o600)  # an index's address may hold a password
