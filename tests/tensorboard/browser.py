"""A headless Chromium, driven by the DevTools protocol over pipes."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

TEXTS = """(() => {
  const found = [];
  const walk = (root) => {
    for (const e of root.querySelectorAll("*")) {
      if (e.shadowRoot) walk(e.shadowRoot);
      if (e.tagName === "text" || e.tagName === "title") found.push(e.textContent);
    }
  };
  walk(document);
  return found;
})()"""
"""All texts in drawings of the page, also inside of web components."""


def chromium() -> str:
    """The program; installed on first use (needs root for apt-get)."""
    if shutil.which("chromium") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True)
    found = shutil.which("chromium")
    assert found is not None
    return found


class Page:
    """A page in a browser of its own, which ends with the context."""

    def __init__(self, url: str, profile: Path) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # The browser reads descriptor 3 and writes 4.
        command = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
            "--window-size=1400,1000", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            ["bash", "-c", command, chromium(), *options], pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self._session = b"", 0, None
        target = self._send("Target.createTarget", url=url)["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def texts(self) -> list[str]:
        """What TEXTS finds now."""
        made = self._send("Runtime.evaluate", expression=TEXTS, returnByValue=True)
        found: list[str] = made["result"].get("value", [])
        return found

    def wait_for(self, text: str, seconds: float = 60) -> list[str]:
        """The texts once this one is among them. Raises AssertionError that shows them if it does not come."""
        end = time.monotonic() + seconds
        while text not in (found := self.texts()):
            assert time.monotonic() < end, f"'{text}' does not show among {found}"
            time.sleep(0.5)
        return found

    def screenshot(self) -> bytes:
        """The page as a PNG file."""
        return base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"])

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                assert select.select([self._in], [], [], 60)[0], f"the browser does not answer {method}"
                got = os.read(self._in, 1 << 16)
                assert got, f"the browser ended at {method}"
                self._buffer += got
            line, _, self._buffer = self._buffer.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
