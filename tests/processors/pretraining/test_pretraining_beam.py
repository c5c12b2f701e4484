"""The Beam pipeline writes what our own processes write, to the byte, and says in one line why it cannot."""

import bz2
import gzip
import io
import itertools
import json
import lzma
import re
import sys
import zipfile
from pathlib import Path

import pytest
import tensorflow as tf
import zstandard

import create_pretraining_data
from processors.pretraining.corpus import CorpusReader
from processors.pretraining.instances import InstanceSettings
from processors.pretraining.masking import MaskingSettings
from processors.pretraining.pretraining_data import PretrainingData
from processors.pretraining.shards import Survey
from tokenization import BulkTokenizer

CORPUS = Path(create_pretraining_data.__file__).parent / "examples" / "corpus.txt"
IN_PROCESS = "--runner=FnApiRunner"


@pytest.fixture
def direct(tmp_path):
    """Beam's direct runner; it would look for a runner in Go on the net unless it is told where to look."""
    return ["--runner=DirectRunner", f"--beam_options=--prism_location={tmp_path}/none"]


@pytest.fixture
def folder(tmp_path):
    """The corpus cut at places where no document ends, into plain and packed files."""
    data = CORPUS.read_bytes().replace(b"\n", b"\r\n")
    path = tmp_path / "corpus"
    (path / "b").mkdir(parents=True)
    (path / "a.txt").write_bytes(data[: len(data) // 3])
    (path / "b" / "1.txt.gz").write_bytes(gzip.compress(data[len(data) // 3 : 2 * len(data) // 3]))
    (path / "c.TXT").write_bytes(b"caf\xe9 \xff" + data[2 * len(data) // 3 :])
    return path


@pytest.fixture
def create(corpus_vocab_file, tmp_path, run_script):
    """Runs the script; gives its error output, and what it wrote by name."""

    def run(name, *given, code=0):
        found, _, err = run_script(
            create_pretraining_data.main, f"--input_file={CORPUS}", f"--output_file={tmp_path / name}/t.tf_record",
            f"--vocab_file={corpus_vocab_file}", "--max_seq_length=48", "--max_predictions_per_seq=7",
            "--dupe_factor=3", "--block_size=600", *given,
        )  # fmt: skip
        assert found == code, err
        return err, {path.name: path for path in sorted((tmp_path / name).glob("*"))}

    return run


def contents(paths):
    return {name: path.read_bytes() for name, path in paths.items()}


def instances(paths):
    """Parsed records, in an order that does not depend on the files they are in."""
    files = [str(path) for name, path in paths.items() if "-of-" in name and not name.endswith(".json")]
    records = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(files)]
    return sorted(str(sorted((name, str(v)) for name, v in record.features.feature.items())) for record in records)


def test_direct_runner_makes_the_records_of_our_own_processes(create, folder, direct):
    shards = ["--num_shards=2", f"--input_file={folder}"]
    _, own = create("own", "--streaming", *shards)
    said, beam = create("beam", *direct, *shards)
    assert "2 of 2 shards to make on DirectRunner" in said
    assert list(beam) == list(own)
    assert "t.tf_record-00001-of-00002" in beam
    assert len(instances(beam)) > 50
    assert instances(beam) == instances(own)
    assert contents(beam) == contents(own)
    _, other = create("other", *direct, *shards, "--random_seed=7")
    assert instances(other) != instances(own)


def test_packed_words_in_several_named_outputs(create, tmp_path):
    given = ["--no_nsp", "--do_whole_word_mask", "--nopad_records"]
    _, own = create("own", "--streaming", *given, f"--output_file={tmp_path}/own/a,{tmp_path}/own/b,{tmp_path}/own/c")
    _, beam = create("beam", IN_PROCESS, *given, f"--output_file={tmp_path}/beam/a,{tmp_path}/beam/b,{tmp_path}/beam/c")
    assert contents(beam) == contents(own)
    assert {"a", "b", "c"} < set(beam)


def zipped(data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("corpus.txt", data)
    return packed.getvalue()


PACKED = {".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped, ".zst": zstandard.compress}


@pytest.mark.parametrize("block_size", [1, 90, 600, 1 << 20])
def test_a_shard_begins_where_the_one_before_it_ends(corpus_vocab_file, folder, tmp_path, block_size):
    files = [folder / "a.txt", folder / "b" / "1.txt.gz", folder / "c.TXT"]
    for suffix, packed in PACKED.items():
        files.append(folder / f"d{suffix}")
        files[-1].write_bytes(packed(CORPUS.read_bytes()))
    whole = list(enumerate(CorpusReader(files).blocks(block_size, cut_documents=True)))
    data = PretrainingData(
        files,
        [tmp_path / str(index) for index in range(min(7, len(whole)))],
        BulkTokenizer(corpus_vocab_file),
        InstanceSettings(masking=MaskingSettings()),
        block_size=block_size,
    )
    shards = Survey(data).shards
    assert list(itertools.chain.from_iterable(shard.blocks(data) for shard in shards)) == whole
    assert {(shard.num_blocks - len(whole) // len(shards)) in (0, 1) for shard in shards} == {True}


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", "--direct_running_mode=multi_processing --direct_num_workers=2"])
def test_an_interrupted_pipeline_leaves_whole_shards_and_goes_on(create, tmp_path, options):
    _, own = create("own", "--streaming", "--num_shards=2")
    in_the_way = tmp_path / "beam" / "t.tf_record-00001-of-00002"
    (in_the_way / "inside").mkdir(parents=True)
    given = [IN_PROCESS, "--num_shards=2", f"--beam_options={options}"]
    said, left = create("beam", *given, code=2)
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))  # processes that end may log after it
    assert line.startswith(f"error: --runner=FnApiRunner: {in_the_way}: writing records failed ([Errno 21]")
    assert line.endswith("choose another --output_file, then run again; finished shards are kept")
    assert set(left) <= {in_the_way.name, *(name for name in own if "00000-of" in name)}
    first = left.get("t.tf_record-00000-of-00002")
    stamp = first.stat().st_mtime_ns if first else None
    (in_the_way / "inside").rmdir()
    in_the_way.rmdir()
    said, beam = create("beam", IN_PROCESS, "--num_shards=2")
    assert contents(beam) == contents(own)
    if first:
        assert "1 of 2 shards to make" in said
        assert first.stat().st_mtime_ns == stamp
    said, _ = create("beam", IN_PROCESS, "--num_shards=2")
    assert "0 of 2 shards to make" in said


def test_one_shard_is_one_workers_work(create):
    said, found = create("beam", IN_PROCESS)
    assert "one shard, which one worker makes; give --num_shards to share the work out" in said
    assert json.loads(found["t.tf_record.report.json"].read_text())["files"] == ["t.tf_record"]


REFUSED = {
    "misspelled": (["--runner=DirctRunner"], "--runner=DirctRunner: Beam has no such runner; closest 'DirectRunner'"),
    "module": (["--runner=no_such_module.Runner"], "cannot be imported (No module named 'no_such_module'); install it"),
    "class": (
        ["--runner=common.errors.Runner"],
        "--runner=common.errors.Runner: cannot be imported (module 'common.errors' has no attr",
    ),
    "value": (
        [IN_PROCESS, "--beam_options=--direct_num_workers=x"],
        "--beam_options=--direct_num_workers=x: Beam cannot read it (argument --direct_num_workers: invalid int value",
    ),
    "quote": ([IN_PROCESS, "--beam_options=--a '"], "--beam_options=--a ': Beam cannot read it (No closing quotation)"),
    "incomplete": (
        ["--runner=PortableRunner", "--beam_options=--environment_type=PROCESS"],
        "--runner=PortableRunner: Beam cannot start it (Pipeline has validations errors: ",
    ),
    "in memory": ([IN_PROCESS, "--nostreaming"], "--runner=FnApiRunner streams, and --nostreaming asks for a shuffle"),
    "workers": ([IN_PROCESS, "--num_workers=3"], "--num_workers=3 are processes of our own; with --runner=FnApiRunner"),
    "no runner": (["--beam_options=--a=1"], "--beam_options are for Apache Beam; name a --runner"),
    "bucket": (
        [IN_PROCESS, "--output_file=gs://bucket/t"],
        "--output_file=gs://bucket/t: this script takes a path of this machine only",
    ),
    "blocks": ([IN_PROCESS, "--num_shards=999"], "999 shards (--num_shards, --output_file), but the corpus makes"),
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_cannot_run_is_said_in_one_line(create, given):
    flags, message = REFUSED[given]
    said, left = create("beam", *flags, code=2)
    errors = [line for line in said.splitlines() if not re.match(r"\d\d:\d\d:\d\d ", line)]
    assert len(errors) == 1
    assert message in errors[0]
    assert not left


def test_what_workers_write_elsewhere_is_missed(create, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runner = "--runner=tests.support.idle_runner.IdleRunner"
    said, left = create("beam", runner, "--num_shards=2", "--output_file=beam/t", code=2)
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert line == (
        f"error: {tmp_path}/beam/t-00000-of-00002: {runner} has ended as DONE, but the shard is not here; all workers "
        "must see --input_file and --output_file under the same paths: put them on a file system that is shared"
    )
    assert not left


def test_without_beam_the_line_says_what_to_install(create, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    said, left = create("beam", "--runner=DirectRunner", code=2)
    assert said.startswith("error: --runner=DirectRunner needs Apache Beam, which cannot be imported (")
    assert "; pip install apache-beam, or leave --runner out" in said
    assert said.count("\n") == 1
    assert not left
