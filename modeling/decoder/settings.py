"""How text is written; readable without TensorFlow."""

import dataclasses

from common.errors import FlagError

PREFIX, TRANSFORMER = "prefix", "transformer"
DECODERS = (PREFIX, TRANSFORMER)


@dataclasses.dataclass(frozen=True)
class DecodingSettings:
    """How the tokens of a text are chosen from their probabilities.

    Args:
      max_length: most tokens of a text, with the one that ends it.

    Raises:
      FlagError: a number out of range.
    """

    max_length: int = 64

    def __post_init__(self) -> None:
        if self.max_length < 2:
            raise FlagError(
                f"--max_target_length={self.max_length} leaves no room for a token beside the one that ends a text; "
                "expected at least 2"
            )


@dataclasses.dataclass(frozen=True)
class TokenIds:
    """The tokens that mean something to a decoder.

    Args:
      begin: goes in first, where the decoder needs a token to begin with.
      end: ends a text.
      pad: fills up texts that have ended.
      never: tokens that no text has.
      second_segment: segment of a text that continues another.
    """

    begin: int
    end: int
    pad: int
    never: tuple[int, ...] = ()
    second_segment: int = 1
