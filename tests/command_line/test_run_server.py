"""run_server.py as a person runs it: what it serves under which name, what it refuses, and how it ends."""

import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import run_server
from command_line.run_server import device_map, folder_name, named_exports, warn_of_outdated
from common.errors import FlagError

ROOT = Path(__file__).resolve().parents[2]


def test_it_serves_until_it_is_told_to_stop(classifier_export):
    command = [sys.executable, "run_server.py", f"--export={classifier_export.parent.parent}", "--port=0"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "serving" in line:
                break
        found = re.search(r"serving reviews at (http://127\.0\.0\.1:\d+)", lines[-1])
        assert found, lines
        request = urllib.request.Request(f"{found[1]}/v1/models/reviews:predict", b'{"instances": ["good film"]}')
        (answer,) = json.loads(urllib.request.urlopen(request, timeout=60).read())["predictions"]
        assert answer["label"] in ("neg", "pos")
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
    assert process.returncode == 0
    assert "stopping: what was accepted is answered first" in rest
    assert rest.endswith("stopped\n")
    assert "Warning" not in "".join(lines) + rest


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--export is missing"),
        (["--export=/no/such"], "--export=/no/such: no such folder; give an --output_dir or an export in it"),
        (["--export=.", "--device_map=0,x"], "--device_map=0,x: expected different numbers of GPUs, as in 0,1, or -1"),
        (
            ["--vectors=.", "--share_base"],
            "--share_base: no --export is given; name the exports that stand on one base",
        ),
        (["--export=.", "--share_base", "--engine=onnx"], "--share_base: TensorFlow alone shares"),
        (["--export=.", "--device_map=1,1"], "--device_map=1,1: expected different numbers of GPUs"),
        (["--export=.", "--api_key_file=/no/such"], "--api_key_file=/no/such: cannot be read"),
        (["--export=.", "--port=70000"], "--port"),
        (["--export=tests", "--port=0"], "--export=tests: no export there; expected an export"),
    ],
)
def test_what_cannot_be_served_is_one_line(run_script, monkeypatch, flags, message):
    monkeypatch.chdir(ROOT)
    code, _, err = run_script(run_server.main, *flags)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_missing_package_is_named(run_script, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "zmq" else find_spec(name, *rest)
    )
    code, _, err = run_script(run_server.main, f"--export={ROOT}")
    assert code == 2
    assert "run_server.py needs zmq, which is not installed; run pip install starlette uvicorn" in err


def test_models_have_the_name_of_their_run(tmp_path):
    export = tmp_path / "reviews" / "export" / "1700000000"
    export.mkdir(parents=True)
    for path in (export, export.parent, export.parent.parent):
        assert folder_name(path) == "reviews"
        assert named_exports([str(path)]) == {"reviews": path}
    assert named_exports([str(export), f"b.2={export}"]) == {"reviews": export, "b.2": export}
    odd = tmp_path / "a=b c"
    odd.mkdir()
    assert named_exports([f"x={odd}"]) == {"x": odd}
    with pytest.raises(FlagError, match="'a=b c' cannot stand in the address of a request; give NAME="):
        named_exports([str(odd)])
    with pytest.raises(FlagError, match=r"the name reviews is given to .* already; give it one of its own, as in"):
        named_exports([str(export), str(export.parent)])


def test_the_process_of_the_server_knows_no_tensorflow():
    code = "import sys, serving.server, command_line.run_server; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_devices_are_numbers():
    assert device_map(None) == [None]
    assert device_map("-1") == ["-1"]
    assert device_map("0, 2") == ["0", "2"]


def test_a_damaged_run_json_keeps_no_export_from_being_served(classifier_export, tmp_path, caplog):
    shutil.copytree(classifier_export, tmp_path / "export" / "1")
    (tmp_path / "run.json").write_text("{")
    warn_of_outdated(tmp_path)
    assert f"{tmp_path}: nothing tells whether its export is of the latest checkpoint: " in caplog.text
