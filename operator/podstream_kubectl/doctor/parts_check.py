"""Do operator and router run, in the same version, and with their keys?"""

from collections.abc import Iterator
from typing import Any, Final

from podstream_core.tokens import SigningKey
from podstream_kubectl.doctor.findings import Finding, broken, ok, unknown, warning
from podstream_kubectl.encoding import decoded
from podstream_kubectl.errors import Forbidden, NotFound
from podstream_kubectl.installation import Installation, container_of
from podstream_kubectl.kubectl import Api, Body

_INSTALL: Final = "helm upgrade --install podstream helm/podstream"
_VERSION_LABEL: Final = "app.kubernetes.io/version"
_KEYS: Final = ("assignment.pem", "client.pem")


def check_parts(api: Api, installation: Installation) -> Iterator[Finding]:
    """Deployments: there and Ready; for one that is not, what its pods say."""
    for component, deployment in (
        ("operator", installation.operator),
        ("router", installation.router),
    ):
        if deployment is None:
            where = installation.namespace
            if installation.is_partial:
                yield unknown(
                    component,
                    f"no {component} in {where}, and other namespaces may not be read",
                    "name the namespace in which podstream is installed with -n",
                )
                continue
            yield broken(component, f"no {component} is installed", f"{_INSTALL} -n {where}")
            continue
        yield _readiness(api, component, deployment)
    if installation.others:
        yield warning(
            "installations",
            f"podstream is also installed in {', '.join(installation.others)}: not looked at",
            "name the namespace with -n to check another one; two must not serve one namespace",
        )


def _readiness(api: Api, component: str, deployment: Body) -> Finding:
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    wanted = deployment["spec"].get("replicas", 1)
    ready = (deployment.get("status") or {}).get("readyReplicas", 0)
    if not wanted:
        return broken(
            component,
            f"Deployment {name} is scaled to zero",
            f"kubectl -n {namespace} scale deployment/{name} --replicas=1",
        )
    if ready >= wanted:
        return ok(component, f"{ready} of {wanted} Ready")
    labels = deployment["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = api.get("pods", f"-n={namespace}", f"--selector={selector}", cluster_wide=True)["items"]
    troubles = sorted({trouble for pod in pods if (trouble := _trouble(pod))})
    message = f"{ready} of {wanted} Ready" + (f": {'; '.join(troubles)}" if troubles else "")
    look = f"kubectl -n {namespace} describe pod -l app.kubernetes.io/component={component}"
    make = broken if not ready else warning
    return make(component, message, f"{look}; kubectl -n {namespace} logs deployment/{name}")


def _trouble(pod: Body) -> str:
    """Why a pod is not Ready, as Kubernetes says it."""
    status: dict[str, Any] = pod.get("status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] != "ContainerCreating":
            return f"{waiting['reason']} ({container.get('image', '')})"
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"not scheduled: {condition.get('message', '')}"
    return ""


def check_versions(installation: Installation, *, own: str) -> Iterator[Finding]:
    """Operator, router and plugin belong together.

    Args:
        installation: what was found.
        own: version of this plugin.
    """
    parts = {"operator": installation.operator, "router": installation.router}
    there = {name: part for name, part in parts.items() if part is not None}
    versions = {
        name: (part["metadata"].get("labels") or {}).get(_VERSION_LABEL, "")
        for name, part in there.items()
    }
    images = {name: container_of(part).get("image", "") for name, part in there.items()}
    # A digest is of one image: those of two parts always differ.
    tags = {name: _tag(image) for name, image in images.items() if "@" not in image}
    if len(set(tags.values())) > 1:
        named = ", ".join(f"{name} {tag}" for name, tag in tags.items())
        yield warning(
            "versions",
            f"the images differ: {named}",
            f"{_INSTALL} with one tag for all, or finish the upgrade that is under way",
        )
    strange = {version for version in versions.values() if version and version != own}
    if strange:
        yield warning(
            "versions",
            f"the cluster has {', '.join(sorted(strange))}, this plugin is {own}",
            "install the plugin of the cluster's version, or upgrade the cluster",
        )
    if versions and not strange and len(set(tags.values())) <= 1:
        yield ok("versions", f"{own} everywhere")


def _tag(image: str) -> str:
    """Tag of an image reference."""
    name, colon, tag = image.rpartition(":")
    return tag if colon and "/" not in tag and name else "latest"


def check_keys(api: Api, installation: Installation) -> Iterator[Finding]:
    """The Secret with the installation's keys: there and readable as keys."""
    name = keys_secret_name(installation)
    if not name:
        return
    check = f"Secret {name}"
    where = f"-n={installation.namespace}"
    try:
        secret = api.get("secret", name, where, cluster_wide=True)
    except NotFound:
        yield broken(check, "the installation's keys are missing", f"{_INSTALL} makes them anew")
        return
    except Forbidden:
        yield unknown(check, "you may not read the installation's keys")
        return
    for key in _KEYS:
        try:
            SigningKey.from_pem(decoded(secret, key))
        except ValueError as error:
            yield broken(
                check,
                f"{key} is no key: {error}",
                f"put a PKCS #8 Ed25519 private key there (openssl genpkey -algorithm ed25519), "
                f"then kubectl -n {installation.namespace} rollout restart deployment",
            )
            return
    yield ok(check, "both keys can be read")


def keys_secret_name(installation: Installation) -> str:
    """Name of the Secret that the router mounts; empty where there is no router."""
    if installation.router is None:
        return ""
    for volume in installation.router["spec"]["template"]["spec"].get("volumes") or []:
        if volume.get("name") == "keys":
            return str((volume.get("secret") or {}).get("secretName", ""))
    return ""
