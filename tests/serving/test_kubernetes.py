"""The manifests are what Kubernetes takes, and what they say of the server is so."""

from pathlib import Path

import pytest

from command_line import run_server
from command_line.flags.parsing import parse
from tests.support.clients import run_client

yaml = pytest.importorskip("yaml", reason="PyYAML reads the manifests")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "kubernetes"


def documents(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def test_schemas():
    kinds = run_client("kubernetes.py", str(FOLDER / "server.yaml"))
    assert kinds == ["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"]


def test_flags_ports_and_times_fit_the_server():
    deployment, service, *_ = documents("server.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    flags = parse(["run_server.py", *container["args"]], run_server.SCRIPT.flags)
    (port,) = container["ports"]
    assert flags.port == port["containerPort"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > flags.deadline_s + flags.read_timeout_s + pause
    mounted = {one["mountPath"] for one in container["volumeMounts"]}
    assert {Path(flags.export[0].partition("=")[2]).parent, Path(flags.api_key_file).parent} <= set(map(Path, mounted))
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}


def test_the_inference_service_names_an_export_on_ids():
    (document,) = documents("kserve.yaml")
    assert document["spec"]["predictor"]["model"]["storageUri"].endswith("/export_ids")
