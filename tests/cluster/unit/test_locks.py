"""Locks that several runs of the tool take on the same cache."""

from pathlib import Path

from testcluster.locks import alone, locked, shared


def test_users_share_and_a_tidier_waits_for_none(tmp_path: Path) -> None:
    lock = tmp_path / "use.lock"
    with shared(lock), shared(lock), alone(lock) as is_alone:
        assert not is_alone
    with alone(lock) as is_alone:
        assert is_alone
        with alone(lock) as twice:
            assert not twice


def test_a_lock_is_free_after_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "sub" / "one.lock"
    with locked(lock, doing="a thing"):
        pass
    with alone(lock) as is_alone:
        assert is_alone
