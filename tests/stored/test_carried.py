"""Plans that an app in one file carries."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter
from edge_rt import bundle
from edge_rt.carried import FOLDER
from edge_rt.carrying import plans_of
from edge_rt.dims import symbol
from edge_rt.graph import Graph
from edge_rt.native.image import read_header, write_image
from edge_rt.packaging import package
from edge_rt.stored import MAGIC, START
from edge_rt.targets import TARGETS
from edge_rt.types import TensorType
from tests.stored._models import F32, MODELS, RNG, TARGET, bytes_of, dense, leave

DIGITS = Path(__file__).parent.parent.parent / "examples" / "digits.onnx"
SCRIPT = """\
import json, sys
import numpy as np
import edge_rt
model = edge_rt.load(edge_rt.resource("digits.edge"), threads=int(sys.argv[1]))
starts = [model._stored is not None, model._loaded is None]
x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
results = [model(x).tobytes().hex() for _ in range(3)]
starts += ["edge_rt.bundle" in sys.modules, "msgpack" in sys.modules]
batch = model(np.concatenate([x, x]))
with open("/proc/self/maps") as maps:
    code = any("r-xp" in line and line.rstrip().endswith("app.pyz") for line in maps)
print(json.dumps([starts, code, results, batch[0].tobytes().hex(), edge_rt.native.library().target]))
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    exporter.export(DIGITS, folder / "digits.edge")
    (folder / "app.py").write_text(SCRIPT)
    package([folder / "digits.edge"], folder / "app.py", folder / "app.pyz", [TARGET.name])
    return folder


def run(app: Path, threads: int = 1, **environment: str) -> list[Any]:
    """Whether it started from a stored plan and has read nothing else, whether it loaded bundle and msgpack, before it was
    asked for another batch; whether its code is mapped from the app; three results; one of a batch; its target."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_RT_")}
    command = [sys.executable, app / "app.pyz", str(threads)]
    cache = {"EDGE_RT_CACHE": str(app / "cache")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**inherited, **cache, **environment}
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    assert not (app / "cache").exists()
    return found


STORED, READ = [True, True, False, False], [False, False, True, False]


def test_each_start_of_an_app_is_one_from_a_stored_plan(app: Path) -> None:
    starts, mapped, results, batch, target = run(app)
    assert (starts, mapped, target) == (STORED, True, TARGET.name)
    assert results == [batch] * 3
    x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    assert results[0] == edge_rt.load(app / "digits.edge", stored_plan=False)(x).tobytes().hex()
    assert run(app, 3)[2:] == [results, batch, target]
    assert run(app, EDGE_RT_STORED_PLANS="0") == [READ, True, results, batch, target]
    assert run(app, EDGE_RT_CODE="memory") == [READ, False, results, batch, target]
    assert run(app, EDGE_RT_CODE=str(app)) == [READ, False, results, batch, target]


@pytest.mark.parametrize("damage", ["plan", "compressed"])
def test_an_app_without_what_it_needs_starts_as_if_for_the_first_time(app: Path, damage: str, tmp_path: Path) -> None:
    """A plan that is damaged; an app that somebody packed anew, so that neither plan nor code can be mapped."""
    expected = run(app)
    with zipfile.ZipFile(app / "app.pyz") as before, zipfile.ZipFile(tmp_path / "app.pyz", "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name.startswith(FOLDER) and damage == "plan":
                data = data[:-1] + bytes([data[-1] ^ 1])
            kind = zipfile.ZIP_DEFLATED if damage == "compressed" else zipfile.ZIP_STORED
            after.writestr(name, data, kind)
    assert run(tmp_path)[0] == READ
    assert run(tmp_path)[2:] == expected[2:]


@pytest.mark.parametrize("name", ["several", "int8", "bands", "dense"])
def test_they_are_what_a_process_stores(name: str, plans: Path, tmp_path: Path, image: bytes) -> None:
    """Made without running anything, for a batch of 1 where the batch is open."""
    graph, inputs = MODELS[name]
    if name == "dense":
        inputs = {"x": RNG.random((1, 8), np.float32)}
    data = bytes_of(graph())
    leave(data, inputs)
    (stored,) = plans.iterdir()
    (tmp_path / "m.edge").write_bytes(data)
    (carried,) = plans_of(tmp_path / "m.edge", {TARGET.name: image}).values()
    fields = [marshal.loads(file[START:]) for file in (stored.read_bytes(), carried)]
    assert carried.startswith(MAGIC)
    assert fields[0] == fields[1]


def test_there_is_a_plan_for_each_target(tmp_path: Path, image: bytes) -> None:
    """Also for CPUs of another kind, whose pack has its code at other places."""
    symbols = read_header(image, "image").symbols
    places = {symbol: 64 * number for number, symbol in enumerate(sorted(symbols))}
    images = {t.name: write_image(t.name, t.requires, places, bytes(64 * len(places))) for t in TARGETS.values()}
    (tmp_path / "m.edge").write_bytes(bytes_of(dense()))
    plans = plans_of(tmp_path / "m.edge", images)
    assert len(plans) == len(TARGETS)
    for plan in plans.values():
        pack, *_, program = marshal.loads(plan[START:])
        assert images[pack[0].removesuffix(".image")].startswith(pack[1])
        executor = pack[-1]
        table = np.frombuffer(program[2], np.int64).reshape(-1, 3)
        assert {*table[:, 0].tolist()} <= {*places.values()}
        assert executor == {symbol: places[symbol] for symbol in executor}


def test_models_that_nobody_can_foresee_have_none(tmp_path: Path, image: bytes) -> None:
    """Open sizes besides the batch; contents that decide shapes; several signatures; steps in NumPy."""
    length = Graph()
    length.output(length.add("Exp", length.input("x", TensorType(F32, (symbol("n"), symbol("t"))))), "y")
    sizes = Graph()
    sizes.output(sizes.add("NonZero", sizes.input("x", TensorType(F32, (9,)))), "y")
    batch = Graph()  # not for a batch of 1
    x = batch.input("x", TensorType(F32, (symbol("n"), 3)))
    batch.output(batch.add("Reshape", x, batch.constant(np.int64([6, -1]))), "y")
    for graphs in ([length], [sizes], [batch], [MODELS["shaped"][0]()], [dense("a"), dense("b")]):
        (tmp_path / "m.edge").write_bytes(bytes_of(*graphs))
        assert bundle.read(tmp_path / "m.edge").signatures
        assert plans_of(tmp_path / "m.edge", {TARGET.name: image}) == {}
