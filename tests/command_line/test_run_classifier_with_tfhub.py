"""The classifier from a module of TensorFlow Hub, and upstream's functions for one."""

import pytest
import tensorflow as tf

import run_classifier_with_tfhub
from common.errors import BertError
from modeling.checkpoints.restore import read_tensor
from tests.support import tiny, tiny_modules

v1 = tf.compat.v1
TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=12", "--train_batch_size=8"]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return tiny_modules.write(tmp_path_factory.mktemp("hub") / "module")


@pytest.mark.slow
def test_a_module_is_fine_tuned(module, tmp_path, run_script):
    data, run = tiny.write_table(tmp_path / "data", train=16, dev=8, test=4), tmp_path / "run"
    arguments = [*TABLE, f"--data_dir={data}", f"--output_dir={run}"]
    code, _, err = run_script(run_classifier_with_tfhub.main, *arguments, "--do_eval")
    assert code == 2
    assert err.endswith("error: --bert_hub_module_handle is missing; give the folder of a module\n")
    handle = f"--bert_hub_module_handle={module}"
    code, _, err = run_script(
        run_classifier_with_tfhub.main, *arguments, handle, "--num_train_epochs=1", "--do_train", "--do_eval"
    )
    assert code == 0, err
    assert "new: output_weights, output_bias" in err
    assert "unused" not in err
    # What was trained needs no module.
    code, _, err = run_script(run_classifier_with_tfhub.main, *arguments, "--do_predict")
    assert code == 0, err
    assert len((run / "test_results.tsv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("handle", "further", "message"),
    [
        ("https://tfhub.dev/google/bert/1", [], ": is an address, and modules are read from folders; download it"),
        ("nowhere", [], "nowhere: is not there, expected a folder with saved_model.pb, variables/ and assets/; check"),
        ("{folder}", [], "{folder}: is no module, expected a folder with saved_model.pb"),
        ("{folder}/module.tar.gz", [], "{folder}/module.tar.gz: is a file, expected the folder of a module; unpack it"),
        ("{module}", ["--init_checkpoint=x"], "--init_checkpoint=x: weights come from --bert_hub_module_handle; leave"),
        ("{module}", ["--do_lower_case"], "--do_lower_case=true, but the module {module} says that its text is cased"),
    ],
)
def test_what_is_no_module_is_refused(module, tmp_path, run_script, handle, further, message):
    (tmp_path / "module.tar.gz").write_bytes(b"")
    places = {"folder": tmp_path, "module": module}
    data = tiny.write_table(tmp_path / "data", train=4, dev=4, test=4)
    code, _, err = run_script(
        run_classifier_with_tfhub.main, *TABLE, f"--data_dir={data}", f"--output_dir={tmp_path / 'run'}", "--do_train",
        f"--bert_hub_module_handle={handle.format(**places)}", *further,
    )  # fmt: skip
    assert code == 2
    assert message.format(**places) in err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_upstreams_functions_read_a_module(module, tmp_path):
    tokenizer = run_classifier_with_tfhub.create_tokenizer_from_hub_module(str(module))
    assert tokenizer.tokenize("good Film") == ["good", "[UNK]"]
    with pytest.raises(BertError, match="is no module"):
        run_classifier_with_tfhub.create_tokenizer_from_hub_module(str(tmp_path))
    with tf.Graph().as_default(), v1.Session() as session:
        ids = tf.constant([[2, 7, 8, 3]])
        made = run_classifier_with_tfhub.create_model(True, ids, ids * 0 + 1, ids * 0, [1], 2, str(module))
        session.run(v1.global_variables_initializer())
        name = "bert/pooler/dense/kernel"
        (kernel,) = (one for one in v1.trainable_variables() if one.op.name == name)
        assert (session.run(kernel) == read_tensor(str(module), name)).all()
        assert [one.shape.as_list() for one in made] == [[], [1], [1, 2], [1, 2]]
    with tf.Graph().as_default():
        ids = tf.constant([[2, 7, 8, 3]])
        features = {"input_ids": ids, "input_mask": ids * 0 + 1, "segment_ids": ids * 0, "label_ids": tf.constant([1])}
        v1.train.get_or_create_global_step()
        model_fn = run_classifier_with_tfhub.model_fn_builder(2, 1e-3, 10, 1, False, str(module))
        assert model_fn(features, None, tf.estimator.ModeKeys.TRAIN, {}).train_op is not None
