"""What is served, where, and within which limits."""

from typing import Any

from command_line.flags.actions import ACTIONS
from command_line.flags.declaration import Flag, Group, Scope, default_of
from command_line.flags.model import MODEL
from command_line.flags.vectors import VECTORS
from serving.settings import BatchLimits, RequestLimits, ServerSettings


def _flag(name: str, kind: type, settings: type, help_text: str, **further: Any) -> Flag:
    return Flag(name, kind, default_of(settings, name), help_text, Scope.FREE, **further)


MODELS = Group(
    "Models",
    (
        Flag(
            "export",
            str,
            None,
            "What to serve: an --output_dir, an export in it, or a folder of exports; of several exports the newest, "
            "and a newer one once its files no longer change. A folder with a checkpoint alone is served as vectors. "
            "NAME=DIR gives the name, else the folder does.",
            Scope.FREE,
            is_repeated=True,
            is_main=True,
        ),
        Flag(
            "vectors",
            str,
            None,
            "What to serve the vectors of, whatever else it answers: a folder with a checkpoint, an --output_dir or an "
            "export. DIR or NAME=DIR.",
            Scope.FREE,
            is_repeated=True,
            is_main=True,
        ),
        Flag(
            "share_base",
            bool,
            False,
            "The exports of --export stand on one base, as adapters, LoRA and heads on a frozen encoder do: a process "
            "holds its weights once, and each export answers by its name, with TensorFlow. A newer export of one "
            "loads all of them anew.",
            Scope.FREE,
        ),
        Flag(
            "device_map",
            str,
            None,
            "GPUs by number, as in 0,1,2: a process on each; the next that is free takes a batch; -1 for none. "
            "Without it, one process that sees what TensorFlow sees.",
            Scope.FREE,
        ),
        ACTIONS["engine"].changed(
            help="What computes the answers: TensorFlow, or ONNX Runtime with no TensorFlow in the process, of exports "
            "with a model.onnx (--export_onnx) and for --vectors; auto is the one recorded with an export, else "
            "TensorFlow.",
            is_main=True,
        ),
        _flag("poll_seconds", float, ServerSettings, "Seconds between two looks for a newer export.", minimum=0.1),
    ),
)

OF_TEXTS = Group(
    "Vectors",
    (
        *VECTORS.only("pooling", "layers", "special_tokens", "normalize")
        .changed("pooling", default="mean", help="How the token vectors of a text become one; none: a vector a token.")
        .changed("special_tokens", help="Include [CLS] and [SEP] in means and maxima.")
        .changed("normalize", help="Scale the vector of a text to length 1.")
        .flags,
        *MODEL.only(
            "vocab_file",
            "bert_config_file",
            "do_lower_case",
            "strip_accents",
            "tokenize_chinese_chars",
            "max_seq_length",
        ).flags,
        Flag("show_tokens", bool, False, "Give clients of bert-as-service the tokens of their texts.", Scope.FREE),
    ),
)

ADDRESS = Group(
    "Address",
    (
        _flag(
            "host", str, ServerSettings,
            "Address to listen at. The default is reached from this machine alone; 0.0.0.0 from every other.",
            is_main=True,
        ),
        _flag("port", int, ServerSettings, "Port of HTTP; 0 for any that is free.", minimum=0, maximum=65535,
              is_main=True),
        _flag("grpc_port", int, ServerSettings, "Port of TensorFlow Serving's protocol over gRPC, usually 8500; none "
              "by default.", minimum=0, maximum=65535),
        _flag("bert_port", int, ServerSettings, "Port for requests of bert-as-service (ZeroMQ), usually 5555; none by "
              "default. Its clients know no API key.", minimum=0, maximum=65535),
        _flag("bert_port_out", int, ServerSettings, "Port for its answers.", minimum=0, maximum=65535),
        Flag(
            "api_key_file", str, None,
            "File with API keys, one a line. Clients send one as Authorization: Bearer KEY; only /health goes without.",
            Scope.FREE, is_path=True, is_main=True,
        ),
        _flag("max_connections", int, ServerSettings, "Open connections; further ones get 503.", minimum=1),
    ),
)  # fmt: skip

BATCHES = Group(
    "Batches",
    (
        _flag("max_batch_tokens", int, BatchLimits, "Largest batch: rows times the tokens of the longest row.",
              minimum=1, is_main=True),
        _flag("max_batch", int, BatchLimits, "Most rows of a batch. With 1, an answer has the same bits whatever else "
              "is asked at the time.", minimum=1, is_main=True),
        _flag("max_wait_ms", float, BatchLimits, "Milliseconds that a row waits for others while the model is idle.",
              minimum=0, is_main=True),
        _flag("max_queue", int, BatchLimits, "Rows that wait; requests beyond get 429 and a time to come again.",
              minimum=1),
        _flag("max_queue_characters", int, BatchLimits, "Characters of the requests that wait.", minimum=1),
    ),
)  # fmt: skip

REQUESTS = Group(
    "Requests",
    (
        _flag("max_body_bytes", int, RequestLimits, "Largest body of a request; a larger one gets 413.", minimum=1),
        _flag("max_texts", int, RequestLimits, "Most rows of a request; more get 422.", minimum=1),
        _flag("max_characters", int, RequestLimits, "Longest text; a longer one gets 422.", minimum=1),
        _flag("deadline_s", float, RequestLimits, "Seconds until a request without an answer gets 504.", minimum=0.01),
        _flag("read_timeout_s", float, RequestLimits, "Seconds that a client may take for its headers, for its body, "
              "and to read its answer.", minimum=0.01),
        _flag("idle_timeout_s", float, RequestLimits, "Seconds that a connection stays open between two requests.",
              minimum=1),
    ),
)  # fmt: skip
