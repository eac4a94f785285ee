"""Every pinned version the cluster is made of, and the link flags that report them.

The Go modules' own versions live in ``modules/*/go.mod``; a unit test holds the two together.
"""

KUBERNETES = "v1.36.4"
HELM = "v4.3.1"
COREDNS = "v1.14.7"
CALICO = "v3.31.0"
CRI_TOOLS = "v1.36.0"
PROMETHEUS = "v0.313.5"
"""Release 3.13.5; its Go module has other numbers."""
PROMETHEUS_OPERATOR = "v0.85.0"
VERSITYGW = "v1.8.0"
"""An S3 server, for tests of uploads."""

GO_MINIMUM = (1, 26, 2)
"""cri-tools and Kubernetes ask for it in go.mod; an older toolchain refuses them."""

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
COREDNS_IMAGE = f"registry.k8s.io/coredns/coredns:{COREDNS}"
DEBIAN_IMAGE = "docker.io/library/debian:bookworm-slim"
PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"

DEBIAN_RELEASE = "bookworm"

_VERSION_PACKAGE = "k8s.io/component-base/version"

KUBERNETES_LDFLAGS = " ".join(
    f"-X {name}={value}"
    for name, value in (
        # Without these the components call themselves v0.0.0 and version skew checks misfire.
        (f"{_VERSION_PACKAGE}.gitVersion", KUBERNETES),
        (f"{_VERSION_PACKAGE}.gitMajor", KUBERNETES.lstrip("v").split(".")[0]),
        (f"{_VERSION_PACKAGE}.gitMinor", KUBERNETES.split(".")[1]),
        (f"{_VERSION_PACKAGE}.gitTreeState", "clean"),
        (f"{_VERSION_PACKAGE}.gitCommit", "0" * 40),
        (f"{_VERSION_PACKAGE}.buildDate", "2026-01-01T00:00:00Z"),
        ("helm.sh/helm/v4/internal/version.version", HELM),
    )
)
CALICO_LDFLAGS = f"-X github.com/projectcalico/calico/pkg/buildinfo.Version={CALICO}"
CRI_TOOLS_LDFLAGS = f"-X sigs.k8s.io/cri-tools/pkg/version.Version={CRI_TOOLS}"
