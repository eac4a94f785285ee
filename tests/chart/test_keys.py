"""The installation's keys."""

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
