"""How the operator finds and authenticates to its API server, once for both of its clients.

In a cluster that is the pod's service account, elsewhere the current kubeconfig context. kopf has
its own HTTP client and gets the same answer through its login handler.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, Final

import kopf
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

from podstream_operator.errors import ConfigError

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


async def load_configuration() -> Configuration:
    """Configuration of the API client.

    Raises:
        ConfigError: there is neither a service account nor a usable kubeconfig.
    """
    configuration = Configuration()
    try:
        if (_SERVICE_ACCOUNT / "token").exists():
            kube_config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        else:
            await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
    except kube_config.ConfigException as error:
        raise ConfigError(f"no access to a cluster: {error}") from error
    # Retries belong to the work queue, which knows what else there is to do meanwhile.
    configuration.retries = None
    return configuration


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Kopf's login handler: service account, else kubeconfig."""
    account = kopf.login_with_service_account(**kwargs)
    if account is None:
        return kopf.login_with_kubeconfig(**kwargs)
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        return account
    # By address, as every Kubernetes client does it: a start must not wait for the cluster's DNS.
    bracketed = f"[{host}]" if ":" in host else host
    return dataclasses.replace(account, server=f"https://{bracketed}:{port}")


def own_namespace() -> str:
    """Namespace of the service account, else of POD_NAMESPACE, else `default`."""
    try:
        return (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return "default"
