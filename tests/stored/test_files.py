"""Whatever happens to the files of stored plans, results are what they are without."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import edge_rt
from edge_rt import stored, storing
from tests.stored._models import MODELS, bytes_of, dense, is_stored, leave, results, several, stored_dense


def test_damaged_plans_are_ignored_and_rewritten(plans: Path) -> None:
    data, x, expected = stored_dense(plans)
    (path,) = plans.iterdir()
    good = path.read_bytes()
    step = max(1, len(good) // 60)
    damaged = [good[:i] + bytes([good[i] ^ 0x55]) + good[i + 1 :] for i in [*range(48), *range(48, len(good), step)]]
    damaged += [good[:i] for i in [0, 7, 8, 40, 41, *range(48, len(good), step)]]
    damaged += [good + b"\0", b"EDGEPLAN", bytes(len(good)), os.urandom(1 << 12), bytes(stored.MAX_BYTES + 1)]
    for content in damaged:
        path.write_bytes(content)
        model = edge_rt.load(data)
        assert not is_stored(model)
        assert [model(x).tobytes(), model(x).tobytes()] == [expected, expected]
        assert path.read_bytes() == good


def test_the_plan_of_another_bundle_is_not_taken(plans: Path) -> None:
    data, x, expected = stored_dense(plans)
    (path,) = plans.iterdir()
    leave(bytes_of(several()), MODELS["several"][1])
    (other,) = {*plans.iterdir()} - {path}
    path.write_bytes(other.read_bytes())
    assert not is_stored(edge_rt.load(data))
    assert edge_rt.load(data)(x).tobytes() == expected


@pytest.mark.parametrize("kind", ["for all to write", "link", "folder", "pipe", "of another user"])
def test_files_that_others_may_have_written(kind: str, plans: Path, tmp_path: Path) -> None:
    data, x, expected = stored_dense(plans)
    (path,) = plans.iterdir()
    if kind == "for all to write":
        path.chmod(0o666)
    elif kind == "of another user":
        if os.geteuid():
            pytest.skip("only root can give files away")
        os.chown(path, 12345, -1)
    else:
        path.rename(tmp_path / "plan")
        if kind == "link":
            path.symlink_to(tmp_path / "plan")
        elif kind == "folder":
            path.mkdir()
        else:
            os.mkfifo(path)
    assert not is_stored(edge_rt.load(data))
    assert leave(data, {"x": x})["y"] == expected
    assert is_stored(edge_rt.load(data)) == (kind != "folder")


def test_root_may_leave_plans_for_others(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only root, whose services run as users of their own."""
    data, _, _ = stored_dense(plans)
    if os.geteuid():
        pytest.skip("only root is root")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert is_stored(edge_rt.load(data))
    os.chown(next(plans.iterdir()), 54321, -1)
    assert not is_stored(edge_rt.load(data))


@pytest.mark.parametrize("where", ["/proc/nowhere", "/dev/null/cache"])
def test_folders_that_cannot_be_written(where: str, plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_CACHE", where)
    for _ in range(2):
        assert not is_stored(edge_rt.load(bytes_of(dense())))
        leave(bytes_of(dense()), MODELS["dense"][1])


def test_a_user_without_a_home(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGE_RT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    leave(bytes_of(dense()), MODELS["dense"][1])
    assert stored.plans_folder() is None
    assert not Path("~").exists()


def test_the_switch(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _, _ = stored_dense(plans)
    monkeypatch.setenv(stored.SWITCH, "0")
    assert not is_stored(edge_rt.load(data))
    leave(bytes_of(several()), MODELS["several"][1])
    assert len(list(plans.iterdir())) == 1


def test_plans_are_private_and_there_are_not_many(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "MAX_PLANS", 3)
    for size in range(1, 8):
        leave(bytes_of(dense(size=size)), {"x": np.ones((1, size), np.float32)})
        assert len(list(plans.iterdir())) == min(size, 3)
    assert is_stored(edge_rt.load(bytes_of(dense(size=7))))
    assert plans.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in plans.iterdir()} == {0o600}


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_calls_do_not_fail_because_of_plans(error: Exception, plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(storing, "store", fail)
    first, *others = results(edge_rt.load(bytes_of(dense())), MODELS["dense"][1])
    assert others == [first, first]
    assert not plans.exists()
