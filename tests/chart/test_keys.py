"""The installation's keys, and the certificate of its gRPC listeners."""

import base64

from chart.helm import VALUES, of_kind, one, pods, render
from podstream_core.tokens import SigningKey


def test_two_distinct_keys_are_made() -> None:
    secret = one(render("default"), "Secret", "podstream-keys")
    keys = {
        name: SigningKey.from_pem(base64.b64decode(value)).kid
        for name, value in secret["data"].items()
    }
    assert keys.keys() == {"assignment.pem", "client.pem"}
    assert len(set(keys.values())) == 2


def test_keys_outlive_an_uninstall() -> None:
    secret = one(render("default"), "Secret", "podstream-keys")
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_existing_secret_is_used() -> None:
    manifests = render("default", 'keys.existingSecret="vault"')
    assert of_kind(manifests, "Secret") == []
    for name in ("podstream-operator", "podstream-router"):
        volumes = {item["name"]: item for item in pods(manifests)[name]["volumes"]}
        assert volumes["keys"]["secret"]["secretName"] == "vault"


def test_keys_are_mounted_where_they_are_read() -> None:
    for values in VALUES:
        for name in ("podstream-operator", "podstream-router"):
            (container,) = pods(render(values))[name]["containers"]
            mounts = {item["name"]: item for item in container["volumeMounts"]}
            assert mounts["keys"] == {
                "name": "keys",
                "mountPath": "/etc/podstream/keys",
                "readOnly": True,
            }


def test_helm_test_gets_no_keys() -> None:
    assert "keys" not in {
        item["name"] for item in pods(render("default"))["podstream-test"]["volumes"]
    }


def test_a_certificate_is_mounted_where_the_router_reads_it() -> None:
    manifests = render("default", 'router.tls.secretName="streams-tls"')
    pod = pods(manifests)["podstream-router"]
    volumes = {item["name"]: item for item in pod["volumes"]}
    assert volumes["tls"]["secret"] == {"secretName": "streams-tls", "defaultMode": 0o440}
    (container,) = pod["containers"]
    mounts = {item["name"]: item for item in container["volumeMounts"]}
    assert mounts["tls"] == {"name": "tls", "mountPath": "/etc/podstream/tls", "readOnly": True}
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert (env["PODSTREAM_TLS_DIR"], env["PODSTREAM_TLS_REQUIRED"]) == (
        "/etc/podstream/tls",
        "false",
    )


def test_without_a_certificate_there_is_no_tls() -> None:
    for settings in ((), ("router.tls=null",)):  # null: the values of an older release
        pod = pods(render("default", *settings))["podstream-router"]
        assert "tls" not in {item["name"] for item in pod["volumes"]}
        names = {item["name"] for item in pod["containers"][0]["env"]}
        assert not {name for name in names if "TLS" in name}
