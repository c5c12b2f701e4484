"""The comparison of a device with the CPU: its arithmetic, and the whole path on a tiny model."""

import json

import pytest

from benchmarks import accelerator
from benchmarks.accelerator import CPU, Case, Numbers, cases, differences, table, verdict
from tests.support import tiny


def numbers(shift=0.0, **changes):
    made = Numbers(
        losses={1: 0.7 + shift, 2: 0.6}, scores={"eval_loss": 0.5, "eval_accuracy": 0.9},
        probabilities=[[0.25, 0.75], [0.5, 0.5 + shift]], exported=[[0.25, 0.75]], rate=12.3, seconds=4.0,
        peak_mib=100.0,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_cases_are_those_that_the_machine_can_run():
    assert [case.name for case in cases([])] == [CPU, "CPU bf16", "CPU XLA", "CPU recomputation", "CPU accumulation"]
    one = cases(["an H100"])
    assert [case.name for case in one][:4] == [CPU, "GPU float32", "GPU bf16", "GPU fp16"]
    assert all("--num_gpus=1" in case.flags for case in one[1:])
    assert dict(one[0].environment) == {"CUDA_VISIBLE_DEVICES": ""}
    assert not one[1].environment
    assert [case.name for case in cases(["a", "b"])][-2:] == ["2 GPUs", "2 GPUs bf16"]
    tpu = cases([], "local")
    assert [case.name for case in tpu] == [CPU, "TPU float32", "TPU bf16", "TPU accumulation"]
    assert all(case.flags[:2] == ("--use_tpu", "--tpu_name=local") for case in tpu[1:])


def test_differences_and_verdicts():
    case = Case("GPU float32", tolerance=1e-3)
    assert differences(numbers(1e-2), numbers()) == pytest.approx(
        {"losses": 1e-2, "eval_loss": 0.0, "probabilities": 1e-2, "export": 0.0}
    )
    assert verdict(case, numbers(1e-4), numbers()) == "ok"
    assert verdict(case, numbers(1e-2), numbers()) == "losses, probabilities differ by more than 0.001"
    assert verdict(case, numbers(losses={1: 0.7}), numbers()) == "losses differ by more than 0.001"
    assert verdict(case, numbers(exported=[]), numbers()) == "export differ by more than 0.001"
    assert verdict(case, numbers(exported=[[0.3, 0.7]]), numbers()) == "export differ by more than 0.001"
    nan = float("nan")
    assert verdict(case, numbers(losses={1: nan, 2: nan}), numbers()) == "losses differ by more than 0.001"
    assert verdict(case, Numbers(failure="no memory"), numbers()) == "no memory"
    assert verdict(case, numbers(), Numbers(failure="x")) == "nothing to compare with"


def test_the_table_has_a_row_for_each_case():
    lines = table([(Case(CPU), numbers()), (Case("GPU XLA"), Numbers(failure="no memory"))])
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith(f"| {CPU} | 12.3 | 4 | 100 | 0.900 | 0.6000 | 0.0e+00 |")
    assert lines[3].endswith("| no memory |")


@pytest.mark.slow
def test_the_whole_path(tiny_model, tmp_path, capfd):
    data = tiny.write_table(tmp_path / "data")
    code = accelerator.main(
        [
            f"--weights={tiny_model}", f"--data_dir={data}", "--epochs=1", "--batch=8", "--length=24",
            "--only=CPU bf16,CPU accumulation", f"--json={tmp_path / 'found.json'}", f"--work={tmp_path / 'work'}",
        ]
    )  # fmt: skip
    out = capfd.readouterr().out
    assert code == 0, out
    found = json.loads((tmp_path / "found.json").read_text())
    assert [one["case"] for one in found] == [CPU, "CPU bf16", "CPU accumulation"]
    assert all(len(one["exported"]) == 8 for one in found)
    assert out.count(" ok |") == 3
