"""What a task reads of the encoder, and small trained parts in a frozen one."""

from command_line.flags.declaration import Flag, Group, Scope
from command_line.flags.vectors import VECTORS
from modeling.insertions import ACTIVATIONS, ADAPTERS, TARGETS, Adapters, Lora
from modeling.reading import CLASSIFIER_POOLINGS, MIXES, Reading
from modeling.settings import CACHES

READING = Group(
    "Reading the encoder",
    (
        Flag(
            "num_layers_used",
            int,
            None,
            "Build the encoder up to this many layers; those above are neither read, trained nor exported.",
            Scope.FIXED,
            minimum=1,
        ),
        VECTORS["pooling"].changed(
            type=CLASSIFIER_POOLINGS,
            default=Reading.pooling,
            help="What a classifier reads: the pooler's output (as upstream), the first token, or the mean or maximum "
            "over tokens.",
            scope=Scope.FIXED,
        ),
        Flag(
            "concat_layers",
            str,
            None,
            "Layers, from 0, whose vectors stand side by side in place of the last layer's, as in 8-11.",
            Scope.FIXED,
        ),
        Flag(
            "layer_mix",
            MIXES,
            None,
            "Read a learned mix of layers in place of the last one: softmax weights times a scale, or free weights.",
            Scope.FIXED,
        ),
        Flag(
            "mix_layers",
            str,
            None,
            "With --layer_mix: what is mixed, as in embeddings,0-11. Without it, the embeddings and all layers.",
            Scope.FIXED,
        ),
        Flag(
            "mix_learning_rate",
            float,
            Reading.mix_learning_rate,
            "With --layer_mix: peak learning rate of its weights, which never decay.",
            Scope.REMEMBERED,
            minimum=0.0,
        ),
        Flag(
            "cache_features",
            CACHES,
            None,
            "With --freeze=encoder,pooler: compute the encoder's outputs once a row, without dropout, keep them beside "
            "the records in this type, and train the head on them.",
            Scope.FIXED,
        ),
        Flag(
            "head_layers",
            int,
            Reading.head_layers,
            "Linear layers of the head, its output layer included.",
            Scope.FIXED,
            minimum=1,
        ),
        Flag(
            "head_width",
            int,
            Reading.head_width,
            "With --head_layers above 1: width of the layers before the last.",
            Scope.FIXED,
            minimum=1,
        ),
    ),
)

INSERTED = Group(
    "Adapters and LoRA",
    (
        Flag(
            "adapter_size",
            int,
            None,
            "Train bottlenecks of this width in each layer of a frozen encoder, and the head.",
            Scope.FIXED,
            minimum=1,
        ),
        Flag(
            "adapter",
            ADAPTERS,
            Adapters.kind,
            "With --adapter_size: two bottlenecks a layer as google-research/adapter-bert has them, or one (pfeiffer).",
            Scope.FIXED,
        ),
        Flag(
            "adapter_activation",
            ACTIVATIONS,
            None,
            "With --adapter_size: activation in the bottlenecks. Without it, gelu for houlsby and relu for pfeiffer.",
            Scope.FIXED,
        ),
        Flag(
            "adapter_layer_norms",
            bool,
            Adapters.layer_norms,
            "With --adapter=houlsby: train every layer normalization of the encoder as well, as adapter-bert does.",
            Scope.FIXED,
        ),
        Flag(
            "lora_rank",
            int,
            None,
            "Train low-rank deltas of linear layers of a frozen encoder, of this rank, and the head.",
            Scope.FIXED,
            minimum=1,
        ),
        Flag(
            "lora_alpha",
            float,
            None,
            "With --lora_rank: deltas are multiplied with this number over the rank. Without it, twice the rank.",
            Scope.FIXED,
            minimum=0.0,
        ),
        Flag(
            "lora_targets",
            str,
            ",".join(Lora.targets),
            f"With --lora_rank: the layers that have a delta, of {', '.join(TARGETS)}.",
            Scope.FIXED,
        ),
        Flag(
            "lora_dropout",
            float,
            Lora.dropout,
            "With --lora_rank: probability of dropping an input of a delta in training.",
            Scope.FIXED,
            minimum=0.0,
            maximum=0.99,
        ),
        Flag(
            "init_adapter",
            str,
            None,
            "Folder of peft or of adapters to start from, on the base that --init_checkpoint names; what it inserts "
            "need not be said.",
            Scope.FREE,
            is_path=True,
        ),
        Flag(
            "merge_adapters",
            bool,
            False,
            "With --do_export: fold low-rank deltas into the layers, so that they cost nothing.",
            Scope.FREE,
        ),
    ),
)
