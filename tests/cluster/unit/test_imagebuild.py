"""Names in Dockerfiles, the flags of a build, and pip's settings inside it."""

from pathlib import Path

import pytest

from testcluster import pipconfig
from testcluster.imagebuild import Request, base_names, full_name, prepare_buildah


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("podstream/operator:1", "docker.io/podstream/operator:1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost/app", "localhost/app:latest"),
        ("host:5000/app", "host:5000/app:latest"),
    ],
)
def test_names_are_completed_as_docker_does(short: str, whole: str) -> None:
    assert full_name(short) == whole


def test_bases_are_images_and_not_the_dockerfiles_own_stages() -> None:
    text = """\
FROM python:3.11-slim-bookworm AS Build
FROM --platform=linux/amd64 docker.io/library/debian:bookworm-slim
from build as last
FROM ${BASE}
FROM scratch
FROM python:3.11-slim-bookworm
"""
    assert base_names(text) == [
        "docker.io/library/python:3.11-slim-bookworm",
        "docker.io/library/debian:bookworm-slim",
    ]


def test_request_becomes_flags_with_the_context_last() -> None:
    request = Request(
        tag="podstream/app:1",
        dockerfile=Path("a/Dockerfile"),
        context=Path("."),
        output=Path("out.tar"),
        arguments=("GIT_SHA=abc",),
        target="test",
    )
    assert request.flags() == [
        "--tag=docker.io/podstream/app:1",
        "--file=a/Dockerfile",
        "--build-arg=GIT_SHA=abc",
        "--target=test",
        ".",
    ]


def test_pip_options_of_the_environment_beat_those_of_files(tmp_path: Path) -> None:
    weak, strong = tmp_path / "weak", tmp_path / "strong"
    weak.write_text("[global]\nindex-url = https://weak\ntimeout = 5\n")
    strong.write_text("[global]\nindex-url = https://strong/%40\n[install]\nretries = 9\n")
    environ = {"PIP_DEFAULT_TIMEOUT": "180", "PIP_TRUSTED_HOST": "host"}
    options = pipconfig.machine_options(environ, files=[weak, strong, tmp_path / "missing"])
    assert options == {
        "index-url": "https://strong/%40",
        "timeout": "180",
        "retries": "9",
        "trusted-host": "host",
    }


def test_only_what_reaches_an_index_goes_into_the_image_build() -> None:
    options = {"index-url": "https://i", "find-links": "/opt/wheels", "cert": "/my/ca", "user": "1"}
    assert pipconfig.render(options, has_certificates=True) == (
        "[global]\nindex-url = https://i\ncache-dir = /etc/xdg/pip/cache\n"
        "cert = /etc/xdg/pip/ca.pem\n\n"
    )
    assert "cert" not in pipconfig.render({}, has_certificates=False)


def test_certificates_are_found_where_pip_or_the_system_name_them(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert pipconfig.certificates({"cert": str(bundle)}, {}) == bundle
    assert pipconfig.certificates({"cert": "/gone"}, {"SSL_CERT_FILE": str(bundle)}) == bundle
    assert pipconfig.certificates({}, {}) is None


def test_buildah_keeps_everything_below_the_cache(tmp_path: Path) -> None:
    variables = prepare_buildah(tmp_path)
    assert variables["BUILDAH_ISOLATION"] == "chroot"
    assert (
        f'graphroot = "{tmp_path}/buildah/graph"' in (tmp_path / "buildah/storage.conf").read_text()
    )
    mounted = (tmp_path / "buildah/containers.conf").read_text()
    assert f'"{tmp_path}/buildah/pip:/etc/xdg/pip:rw"' in mounted
