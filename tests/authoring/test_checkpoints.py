"""Checkpoints: files, restoring by path, waiting for variables, and that nothing destroys the earlier one."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError, CheckpointError
from exporter.authoring import checkpoint as checkpoints
from exporter.authoring import checkpoint_files


class Dense(ex.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w = ex.Variable(ex.random.normal([inputs, outputs]), name="w")
        self.b = ex.Variable(ex.zeros([outputs]), name="b")


class Net(ex.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [Dense(3, 4), Dense(4, 2)]
        self.scales = {"a/b": ex.Variable(1.5), "~": ex.Variable(np.int8(3))}


class Deferred(ex.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.is_built = False

    def __call__(self, x: Any) -> Any:
        if not self.is_built:
            self.w = ex.Variable(ex.zeros([x.shape[-1], self.outputs]), name="w")
            self.is_built = True
        return x @ self.w


def values(module: ex.Module) -> list[Any]:
    return [v.numpy().tolist() for v in module.variables]


def test_written_listed_and_restored(tmp_path: Path) -> None:
    net, other = Net(), Net()
    path = ex.Checkpoint(model=net).write(tmp_path / "my")
    assert path == str(tmp_path / "my")
    assert sorted(os.listdir(tmp_path)) == ["my.data-00000-of-00001", "my.index"]
    assert ex.list_variables(path) == [
        ("model/layers/0/b", (4,)),
        ("model/layers/0/w", (3, 4)),
        ("model/layers/1/b", (2,)),
        ("model/layers/1/w", (4, 2)),
        ("model/scales/a~1b", ()),
        ("model/scales/~0", ()),
    ]
    assert values(other) != values(net)
    w = other.layers[0].w
    ex.Checkpoint(model=other).restore(path).assert_consumed().assert_existing_objects_matched()
    assert values(other) == values(net)
    assert other.layers[0].w is w


def test_functions_see_restored_values(tmp_path: Path) -> None:
    v = ex.Variable(1.0)
    double = ex.function(lambda: v * 2)
    path = ex.Checkpoint(v=v).write(tmp_path / "c")
    v.assign(9.0)
    assert double().numpy() == 18
    ex.Checkpoint(v=v).restore(path)
    assert double().numpy() == 2


def test_several_shards_above_a_size(tmp_path: Path) -> None:
    net, other = Net(), Net()
    checkpoint = ex.Checkpoint(model=net)
    checkpoint.write(tmp_path / "c", shard_bytes=32)
    assert sorted(os.listdir(tmp_path)) == [*(f"c.data-{i:05d}-of-00005" for i in range(5)), "c.index"]
    ex.Checkpoint(model=other).restore(tmp_path / "c").assert_consumed()
    assert values(other) == values(net)
    checkpoint.write(tmp_path / "c")
    assert sorted(os.listdir(tmp_path)) == ["c.data-00000-of-00001", "c.index"]
    ex.Checkpoint(empty=ex.Module()).write(tmp_path / "c")
    assert ex.list_variables(tmp_path / "c") == []


def test_a_shared_variable_is_stored_once_and_restored_by_any_path(tmp_path: Path) -> None:
    net, other = Net(), Net()
    ex.Checkpoint(model=net).write(tmp_path / "c")
    status = ex.Checkpoint(all=[other], first=other.layers[0], model=other).restore(tmp_path / "c")
    status.assert_consumed()
    assert values(other) == values(net)
    ex.Checkpoint(all=[other], model=other).write(tmp_path / "c")
    assert {path.split("/")[0] for path, _ in ex.list_variables(tmp_path / "c")} == {"all"}


def test_values_wait_for_variables_that_do_not_exist_yet(tmp_path: Path) -> None:
    old = Deferred(2)
    old(ex.ones([1, 3]))
    old.w.assign(ex.ones([3, 2]) * 5)
    path = ex.Checkpoint(model=old, list=[ex.Variable(ex.ones([3, 2]) * 5)]).write(tmp_path / "c")

    new, later = Deferred(2), []
    status = ex.Checkpoint(model=new, list=later).restore(path)
    status.assert_existing_objects_matched()
    with pytest.raises(CheckpointError, match=r"variable 'list/0': expected nothing, found float32\[3, 2\]"):
        status.assert_consumed()
    assert ex.function(new)(ex.ones([1, 3])).numpy().tolist() == [[15, 15]]
    appended = ex.Variable(ex.zeros([3, 2]))
    assert appended.numpy().sum() == 0
    later.append(appended)
    assert appended.numpy().sum() == 30
    # What was assigned after the value was there is not overwritten by it.
    new.w.assign(ex.zeros([3, 2]))
    status.assert_existing_objects_matched()
    assert new.w.numpy().sum() == 0


def test_an_assignment_to_a_new_variable_is_not_overwritten_by_a_waiting_value(tmp_path: Path) -> None:
    old = Deferred(1)
    old(ex.ones([1, 1]))
    path = ex.Checkpoint(model=old).write(tmp_path / "c")
    new = Deferred(1)
    ex.Checkpoint(model=new).restore(path)
    new.w = ex.Variable([[3.0]])
    new.w.assign([[4.0]])
    assert new.w.numpy() == 4


def test_a_waiting_value_of_another_shape_is_refused_where_it_would_take_effect(tmp_path: Path) -> None:
    old = Deferred(2)
    old(ex.ones([1, 3]))
    ex.Checkpoint(model=old).write(tmp_path / "c")
    new = Deferred(2)
    ex.Checkpoint(model=new).restore(tmp_path / "c")
    with pytest.raises(CheckpointError, match=r"variable 'model/w': expected float32\[4, 2\], found float32\[3, 2\]"):
        new(ex.ones([1, 4]))
    checkpoints._WAITING.clear()


def test_nothing_waits_for_objects_that_are_gone(tmp_path: Path) -> None:
    old = Deferred(2)
    old(ex.ones([1, 3]))
    ex.Checkpoint(model=old).write(tmp_path / "c")
    new = Deferred(2)
    ex.Checkpoint(model=new).restore(tmp_path / "c").expect_partial()
    assert len(checkpoints._WAITING) == 1
    del new
    gc.collect()
    ex.Variable(1.0).numpy()
    assert checkpoints._WAITING == []


def test_what_does_not_fit_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    net = Net()
    path = ex.Checkpoint(model=net).write(tmp_path / "c")
    other = Net()
    other.layers[1].b = ex.Variable(ex.zeros([3]))
    before = values(other)
    with pytest.raises(CheckpointError, match=r"variable 'model/layers/1/b': expected float32\[3\], found float32\[2\]"):
        ex.Checkpoint(model=other).restore(path)
    other.layers[1].b = ex.Variable(ex.zeros([2], "int32"))
    with pytest.raises(CheckpointError, match=r"expected int32\[2\], found float32\[2\]"):
        ex.Checkpoint(model=other).restore(path)
    assert values(other)[:4] == before[:4]


def test_missing_and_extra_keys_are_listed_by_the_assertions(tmp_path: Path) -> None:
    path = ex.Checkpoint(a=ex.Variable(1.0), b=ex.Variable([2.0, 3.0])).write(tmp_path / "c")
    a, new = ex.Variable(0.0), ex.Variable(7)
    status = ex.Checkpoint(a=a, new=new).restore(path).expect_partial()
    assert (float(a), int(new)) == (1, 7)
    with pytest.raises(CheckpointError, match=r"variable 'new': expected int32\[\], found nothing$"):
        status.assert_existing_objects_matched()
    with pytest.raises(CheckpointError, match=r"'new': .*; variable 'b': expected nothing, found float32\[2\]"):
        status.assert_consumed()
    ex.Checkpoint(a=a).restore(path).assert_existing_objects_matched()


def test_what_found_no_counterpart_is_logged_unless_expected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = ex.Checkpoint(a=ex.Variable(1.0), b=ex.Variable(2.0)).write(tmp_path / "c")
    a = ex.Variable(0.0)
    with caplog.at_level(logging.WARNING):
        ex.Checkpoint(a=a).restore(path).expect_partial()
        gc.collect()
        assert caplog.messages == []
        d = ex.Variable(1)
        ex.Checkpoint(a=a, b=ex.Variable(0.0), c=a, d=d).restore(path)
        gc.collect()
    assert caplog.messages == [f"{path}: variable 'd': expected int32[], found nothing"]


def test_values_that_wait_are_logged_when_nothing_can_take_them_any_more(tmp_path: Path) -> None:
    path = ex.Checkpoint(m=[ex.Variable(1.0), ex.Variable(2.0)]).write(tmp_path / "c")
    script = (
        "import sys, exporter as ex\n"
        "late = []\n"
        "ex.Checkpoint(m=late).restore(sys.argv[1])\n"
        "late.append(ex.Variable(0.0))\n"
        "print(float(late[0]), file=sys.stderr)\n"
    )
    made = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert made.stderr.splitlines() == ["1.0", f"{path}: variable 'm/1': expected nothing, found float32[]"]


def test_save_counts_and_the_latest_is_found(tmp_path: Path) -> None:
    v = ex.Variable(0.0)
    checkpoint = ex.Checkpoint(v=v)
    for n in (1, 2, 3):
        v.assign(float(n))
        assert checkpoint.save(tmp_path / "c") == str(tmp_path / f"c-{n}")
    assert ex.latest_checkpoint(tmp_path) == str(tmp_path / "c-3")
    assert ex.latest_checkpoint(tmp_path / "none") is None
    assert ("save_counter", ()) in ex.list_variables(tmp_path / "c-2")
    again = ex.Checkpoint(v=v)
    again.restore(tmp_path / "c-2").assert_consumed()
    assert v.numpy() == 2
    assert again.save(tmp_path / "d") == str(tmp_path / "d-3")


def test_a_manager_keeps_the_last_few(tmp_path: Path) -> None:
    v = ex.Variable(0.0)
    manager = ex.CheckpointManager(ex.Checkpoint(v=v), tmp_path / "new", max_to_keep=2)
    assert manager.restore_or_initialize() is None
    for n in range(4):
        v.assign(float(n))
        manager.save()
    kept = [str(tmp_path / "new" / f"ckpt-{n}") for n in (3, 4)]
    assert manager.checkpoints == kept
    assert len(os.listdir(tmp_path / "new")) == 5
    v.assign(9.0)
    again = ex.CheckpointManager(ex.Checkpoint(v=v), tmp_path / "new", max_to_keep=1)
    assert again.restore_or_initialize() == kept[1]
    assert v.numpy() == 3
    again.save()
    assert again.latest_checkpoint == str(tmp_path / "new" / "ckpt-5")
    assert len(os.listdir(tmp_path / "new")) == 3
    (tmp_path / "new" / "checkpoint").write_text("[")
    with pytest.raises(CheckpointError, match="is not a list of checkpoints"):
        ex.latest_checkpoint(tmp_path / "new")
    with pytest.raises(AuthoringError, match="max_to_keep"):
        ex.CheckpointManager(ex.Checkpoint(v=v), tmp_path, max_to_keep=0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda shard, index: shard.write_bytes(shard.read_bytes()[:-3]), r"variable 'model/scales/~0': expected bytes"),
        (lambda shard, index: shard.write_bytes(shard.read_bytes()[:40]), "found a truncated shard"),
        (lambda shard, index: shard.write_bytes(shard.read_bytes()[:-1] + b"x"), "expected SHA-256"),
        (lambda shard, index: shard.write_bytes(b"x" * 500), "found a file that is not a shard"),
        (lambda shard, index: shard.unlink(), "variable 'model/layers/0/b': expected it in .*, found no file"),
        (lambda shard, index: index.unlink(), r"there is no checkpoint, the file .*c\.index does not exist"),
        (lambda shard, index: index.write_bytes(index.read_bytes()[:-1]), "is damaged"),
        (lambda shard, index: index.write_bytes(b"x"), "is not the index of a checkpoint"),
    ],
)
def test_damage_is_found_before_anything_is_changed(tmp_path: Path, damage: Any, message: str) -> None:
    net = Net()
    ex.Checkpoint(model=net).write(tmp_path / "c")
    before = values(net)
    damage(tmp_path / "c.data-00000-of-00001", tmp_path / "c.index")
    for v in net.variables:
        v.assign(v * 0 if v.dtype != np.int8 else v)
    changed = values(net)
    assert changed != before
    with pytest.raises(CheckpointError, match=message):
        ex.Checkpoint(model=net).restore(tmp_path / "c")
    assert values(net) == changed


def test_a_shard_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        ex.Checkpoint(v=ex.Variable(value)).write(tmp_path / name)
    os.replace(tmp_path / "a.data-00000-of-00001", tmp_path / "b.data-00000-of-00001")
    with pytest.raises(CheckpointError, match=r"'v': expected it in .*, found a shard of another checkpoint"):
        ex.Checkpoint(v=ex.Variable(0.0)).restore(tmp_path / "b")


def test_a_process_killed_at_any_step_leaves_the_earlier_checkpoint_or_the_new_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill_while_writing.py")
    command = [sys.executable, str(script), str(tmp_path / "c"), "50"]
    *lines, files = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.splitlines()
    assert files.split() == [*(f"c.data-{i:05d}-of-00003" for i in range(3)), "c.index"]
    assert len(lines) == 50
    version, replaced = 0, 0
    for n, line in enumerate(lines, 1):
        found, count, end = line.split()
        assert int(found) in (version, n), line
        assert count == "3"
        replaced += int(found) == n and end == "killed"
        version = int(found)
    assert sum(line.endswith("killed") for line in lines) >= 25
    assert 0 < replaced < sum(line.endswith("killed") for line in lines)


def test_a_failing_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    v = ex.Variable(1.0)
    checkpoint = ex.Checkpoint(v=v)
    path = checkpoint.save(tmp_path / "c")

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint_files, "_write_index", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(tmp_path / "c")
    monkeypatch.undo()
    assert len(os.listdir(tmp_path)) == 3
    v.assign(5.0)
    checkpoint.restore(path)
    assert v.numpy() == 1
    assert checkpoint.save(tmp_path / "c") == str(tmp_path / "c-2")


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(AuthoringError, match="'x' must be a module, a variable or a container, got int"):
        ex.Checkpoint(x=3)
    with pytest.raises(AuthoringError, match="belongs to the checkpoint"):
        ex.Checkpoint(save_counter=ex.Variable(1))
    with pytest.raises(AttributeError, match="has no object 'y', there are v"):
        print(ex.Checkpoint(v=ex.Variable(1)).y)
    with pytest.raises(AuthoringError, match="two variables have the path 'd/1'"):
        ex.Checkpoint(d={1: ex.Variable(1), "1": ex.Variable(2)}).write("unused")
