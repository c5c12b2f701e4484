"""Debian's Chromium without a window, driven through ChromeDriver's own protocol."""

import base64
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
KEYS = {"tab": "\ue004", "enter": "\ue007", "control": "\ue009"}


class Browser:
    """One page.

    Args:
      url: of the session.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def _post(self, path: str, content: Any) -> Any:
        found = requests.post(self._url + path, json=content, timeout=60).json()["value"]
        assert not (isinstance(found, dict) and "error" in found), found
        return found

    def open(self, url: str) -> None:
        self._post("/url", {"url": url})

    def find(self, css: str) -> str:
        return self._post("/element", {"using": "css selector", "value": css})[ELEMENT]

    def type(self, css: str, text: str) -> None:
        element = self.find(css)
        self._post(f"/element/{element}/clear", {})
        self._post(f"/element/{element}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Keys down in their order, then up, wherever the focus is."""
        presses = [{"type": "keyDown", "value": KEYS.get(key, key)} for key in keys]
        releases = [{"type": "keyUp", "value": one["value"]} for one in reversed(presses)]
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": [*presses, *releases]}]})

    def click(self, css: str) -> None:
        self._post(f"/element/{self.find(css)}/click", {})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, css: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", css)

    def until(self, condition: str, *arguments: Any, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.run(f"return {condition}", *arguments):
            assert time.monotonic() < deadline, (condition, self.text("body"))
            time.sleep(0.05)

    def resize(self, width: int, height: int, is_phone: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
        self._post("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def screenshot(self, path: Path) -> None:
        parameters = {"captureBeyondViewport": True}
        found = self._post("/goog/cdp/execute", {"cmd": "Page.captureScreenshot", "params": parameters})
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser with a profile in an empty folder."""
    driver, program = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or program is None:
        pytest.skip("chromium and chromedriver are not installed (apt-get install chromium chromium-driver)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/session"
        options = {"binary": program, "args": [*ARGUMENTS, f"--user-data-dir={folder}"]}
        content = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        session = _started(address, content)
        try:
            yield Browser(f"{address}/{session}")
        finally:
            requests.delete(f"{address}/{session}", timeout=60)
    finally:
        process.terminate()
        process.wait(30)


def _started(address: str, content: Any) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            return requests.post(address, json=content, timeout=120).json()["value"]["sessionId"]
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
