"""Writes encoder_decoder.npz: a small encoder-decoder of Hugging Face with its losses and the texts that it generates.

python tests/data/sequences/make.py        # in an environment with torch and transformers
"""

from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, EncoderDecoderConfig, EncoderDecoderModel

SIZES = {
    "vocab_size": 29,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "hidden_act": "gelu",
}
CLS, SEP, PAD, LONGEST = 2, 3, 0, 10
FORBIDDEN = [0, 1, 2, 4]
SEED = 0


def main() -> None:
    """Makes the model, asks it, and writes the file."""
    torch.manual_seed(SEED)
    decoder = BertConfig(**SIZES, is_decoder=True, add_cross_attention=True)
    config = EncoderDecoderConfig.from_encoder_decoder_configs(BertConfig(**SIZES), decoder)
    model = EncoderDecoderModel(config=config).eval()
    with torch.no_grad():
        for name, values in model.named_parameters():
            spread = 0.1 if name.endswith("bias") else 0.4
            values.copy_(torch.randn_like(values) * spread + (1.0 if "LayerNorm.weight" in name else 0.0))
        shared = model.encoder.embeddings.word_embeddings.weight.mul_(2.0)
        model.decoder.bert.embeddings.word_embeddings.weight.copy_(shared)
        model.decoder.cls.predictions.decoder.weight.copy_(shared)
        bias = torch.randn(SIZES["vocab_size"]) * 0.3
        bias[SEP] += 1.5
        bias[FORBIDDEN] = -60.0  # what no text has
        for part in (model.encoder, model.decoder.bert):
            part.embeddings.position_embeddings.weight.mul_(2.0)
        model.decoder.cls.predictions.bias.copy_(bias)
        model.decoder.cls.predictions.decoder.bias.copy_(bias)
    generator = np.random.default_rng(3)
    lengths = generator.integers(1, 9, 12)
    ids, mask = np.zeros([12, 10], np.int64), np.zeros([12, 10], np.int64)
    for row, length in enumerate(lengths):
        ids[row, : length + 2] = [CLS, *generator.integers(5, SIZES["vocab_size"], length), SEP]
        mask[row, : length + 2] = 1
    inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    targets = generator.integers(5, SIZES["vocab_size"], [12, 6])
    targets[:, -1] = SEP
    begun = np.concatenate([np.full([12, 1], CLS), targets[:, :-1]], axis=1)
    with torch.no_grad():
        logits = model(**inputs, decoder_input_ids=torch.tensor(begun)).logits
    found = {
        "losses": torch.nn.functional.cross_entropy(logits.transpose(1, 2), torch.tensor(targets), reduction="none")
    }
    common = {
        "decoder_start_token_id": CLS, "eos_token_id": SEP, "pad_token_id": PAD, "max_new_tokens": LONGEST,
        "do_sample": False,
    }  # fmt: skip
    greedy = model.generate(**inputs, **common, num_beams=1)
    weights = {f"weights/{name}": values.detach().numpy() for name, values in model.state_dict().items()}
    np.savez_compressed(
        Path(__file__).with_name("encoder_decoder.npz"), ids=ids, mask=mask, targets=targets,
        losses=found["losses"].numpy(), greedy=greedy[:, 1:].numpy(), **weights,
    )  # fmt: skip


if __name__ == "__main__":
    main()
