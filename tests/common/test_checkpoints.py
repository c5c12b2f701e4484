"""Which checkpoint of a run is the latest: by exact names, and with a line for every contradiction."""

import pytest

from common.checkpoints import (
    checkpoint_name,
    latest_checkpoint,
    named_checkpoints,
    record_checkpoint,
    settle_checkpoint,
)
from common.errors import CheckpointError


def write(folder, *steps, state=None):
    """Empty files of checkpoints, and a file `checkpoint` of the last of them unless another is given."""
    folder.mkdir(exist_ok=True)
    for step in steps:
        for suffix in ("index", "data-00000-of-00001"):
            (folder / f"model.ckpt-{step}.{suffix}").write_bytes(b"")
    if state is None:
        listed = "".join(f'all_model_checkpoint_paths: "model.ckpt-{step}"\n' for step in steps)
        state = f'model_checkpoint_path: "model.ckpt-{steps[-1]}"\n{listed}'
    if state:
        (folder / "checkpoint").write_text(state)
    return folder


@pytest.fixture(params=["run", "run[1]", "run*", "r?n", "run\\d"])
def run(request, tmp_path):
    """A folder with the checkpoints of three steps, also under names that are patterns."""
    return write(tmp_path / request.param, 0, 5, 10)


def refusal(folder):
    with pytest.raises(CheckpointError) as refused:
        latest_checkpoint(folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_named_one_is_the_latest(run):
    found = latest_checkpoint(run)
    assert (found.name, found.prefix, found.contradiction) == ("model.ckpt-10", str(run / "model.ckpt-10"), None)
    (run / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-5"\nall_model_checkpoint_paths: "x"\n')
    assert latest_checkpoint(run).name == "model.ckpt-5"


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_missing_file_gives_way_to_the_checkpoint_before(run, suffix):
    (run / f"model.ckpt-10.{suffix}").unlink()
    found = latest_checkpoint(run)
    assert found.name == "model.ckpt-5"
    assert found.contradiction == f"{run}: model.ckpt-10 has no .{suffix[:5].rstrip('-')} file; model.ckpt-5 is used"


def test_a_damaged_one_gives_way_to_the_checkpoint_before(run):
    found = latest_checkpoint(run, {"model.ckpt-10": "model.ckpt-10 is cut"})
    assert found.contradiction == f"{run}: model.ckpt-10 is cut; model.ckpt-5 is used"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing"),
        (b"", "is empty"),
        (b"\xff\xfe", "names no checkpoint (model_checkpoint_path)"),
        (b'model_checkpoint_path: "\xff"', "is not UTF-8"),
        (b'model_checkpoint_path: ""', "names no checkpoint (model_checkpoint_path)"),
        (b"{}", "names no checkpoint (model_checkpoint_path)"),
    ],
)
def test_an_unusable_checkpoint_file_gives_way_to_the_newest_checkpoint(run, content, problem):
    (run / "checkpoint").unlink()
    if content is not None:
        (run / "checkpoint").write_bytes(content)
    found = latest_checkpoint(run)
    assert found.name == "model.ckpt-10"
    assert found.contradiction == f"{run}: its file checkpoint {problem}; model.ckpt-10 is used"


def test_the_untrained_first_checkpoint_replaces_none(tmp_path):
    run = write(tmp_path / "run", 0, 10)
    (run / "model.ckpt-10.index").unlink()
    advice = "and there is no other trained checkpoint; copy its files back, or choose another --output_dir"
    assert refusal(run) == f"{run}: model.ckpt-10 has no .index file, {advice}"
    (run / "checkpoint").unlink()
    assert refusal(run) == f"{run}: its file checkpoint is missing, {advice}"
    (run / "model.ckpt-10.data-00000-of-00001").unlink()
    assert latest_checkpoint(run) is None, "a run that was killed before `checkpoint` was there"
    (run / "checkpoint").write_text("")
    assert refusal(run) == f"{run}: its file checkpoint is empty, {advice}"


def test_no_run_at_all(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "nowhere") is None


def test_shards_count(tmp_path):
    run = write(tmp_path / "run", 5, 10)
    (run / "model.ckpt-10.data-00000-of-00001").rename(run / "model.ckpt-10.data-00000-of-00002")
    assert latest_checkpoint(run).name == "model.ckpt-5"
    (run / "model.ckpt-10.data-00001-of-00002").write_bytes(b"")
    assert latest_checkpoint(run).name == "model.ckpt-10"


def test_checkpoints_of_another_run_are_refused_and_never_removed(tmp_path):
    other = write(tmp_path / "other", 0, 5, 10)
    state = "".join(f'all_model_checkpoint_paths: "{other / checkpoint_name(step)}"\n' for step in (0, 5, 10))
    run = write(tmp_path / "run", 3, state=f'model_checkpoint_path: "{other / "model.ckpt-10"}"\n{state}')
    assert refusal(run) == (
        f"{run / 'checkpoint'}: names {other / 'model.ckpt-10'}, which is in another folder; copy its files here, or "
        "start from it with --init_checkpoint in another --output_dir"
    )
    # A copied run still names the original, and has files of its own.
    write(run, 0, 5, 10, state="")
    settle_checkpoint(run, latest_checkpoint(run))
    assert named_checkpoints((run / "checkpoint").read_bytes()) == [
        "model.ckpt-10", "model.ckpt-0", "model.ckpt-5", "model.ckpt-10",
    ]  # fmt: skip
    write(run, 20, state="")
    record_checkpoint(run, "model.ckpt-20", keep=1)
    assert latest_checkpoint(run).name == "model.ckpt-20"
    assert sorted(path.name for path in run.glob("*.index")) == ["model.ckpt-20.index", "model.ckpt-3.index"]
    assert len(list(other.iterdir())) == 7


def test_recording_keeps_the_last_ones(run):
    for step in (15, 20):
        write(run, step, state="")
        record_checkpoint(run, checkpoint_name(step), keep=3)
    kept = [f"model.ckpt-{step}" for step in (10, 15, 20)]
    assert sorted(path.stem for path in run.iterdir() if path.name.startswith("model")) == sorted(2 * kept)
    assert named_checkpoints((run / "checkpoint").read_bytes()) == [
        "model.ckpt-20", "model.ckpt-10", "model.ckpt-15", "model.ckpt-20",
    ]  # fmt: skip


def test_names_are_escaped_as_tensorflow_escapes_them(tmp_path):
    run = write(tmp_path / "run", state='model_checkpoint_path: "mod\\303\\250le\\"s"\n')
    (run / 'modèle"s.index').write_bytes(b"")
    assert latest_checkpoint(run).name == 'modèle"s'
    settle_checkpoint(run, latest_checkpoint(run))
    assert (run / "checkpoint").read_text().startswith('model_checkpoint_path: "mod\\303\\250le\\"s"\n')
