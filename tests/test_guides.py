"""The guides quote errors as they are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import exporter

ROOT = Path(__file__).parent.parent
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))


def quoted_errors() -> list[str]:
    """Texts in the first column of the tables whose header says "the error says"."""
    found, is_table = [], False
    for line in (ROOT / "docs" / "guides" / "troubleshooting.md").read_text().splitlines():
        if line.startswith("| the error says"):
            is_table = True
        elif not line.startswith("|"):
            is_table = False
        elif is_table and not line.startswith("|-"):
            found += re.findall(r"`([^`]+)`", line.split("|")[1])
    return [text for text in found if not text.startswith("(")]


def texts() -> str:
    """Every text in the sources, with <> for what is put into it."""
    found = []
    for folder in ("edge_rt", "exporter", "devices"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(v.value if isinstance(v, ast.Constant) else "<>" for v in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return "\n".join(found)


@pytest.fixture(scope="module")
def sources() -> str:
    return texts()


@pytest.mark.parametrize("error", quoted_errors())
def test_errors_are_quoted_as_the_sources_have_them(sources: str, error: str) -> None:
    text = re.sub(r"<[a-z]+>", "<>", error.replace("(Operation not permitted)", "(<>)"))
    assert text in sources, f"no text in the sources reads like this: {error}"


def test_links_lead_somewhere() -> None:
    for guide in GUIDES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", guide.read_text()):
            assert (guide.parent / target).exists(), f"{guide.name} links to {target}"


def test_environment_variables_exist(sources: str) -> None:
    for guide in GUIDES:
        for name in re.findall(r"\bEDGE_RT_[A-Z_]+\b", guide.read_text()):
            assert name in sources, f"{guide.name} names {name}, which nothing reads"


def test_the_code_for_those_who_come_from_others_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "guides" / "coming-from.md").read_text(), re.DOTALL)
    exporter.export(ROOT / "examples" / "digits.onnx", tmp_path / "model.edge", test_vectors=False)
    check = "\nassert np.array_equal(first, outputs[0])"
    done = subprocess.run([sys.executable, "-c", code + check], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
