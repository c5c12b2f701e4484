"""How text is written; readable without TensorFlow."""

import dataclasses
import math

from common.errors import FlagError

PREFIX, TRANSFORMER = "prefix", "transformer"
DECODERS = (PREFIX, TRANSFORMER)


@dataclasses.dataclass(frozen=True)
class DecodingSettings:
    """How the tokens of a text are chosen from their probabilities.

    Args:
      max_length: most tokens of a text, with the one that ends it.
      beam_size: texts that are followed at a time; 1 takes the likeliest token each time.
      length_penalty: of beam search: texts are compared by log probability over length to this power; 0 compares log
        probabilities, larger values favour longer texts.
      no_repeat_ngram: no text has the same tokens in a row twice, of this length; 0 lets them repeat.
      num_best: texts of each source.
      top_p: draw tokens at random among the likeliest whose probabilities add up to this; None draws none.
      temperature: of the distribution that is drawn from; below 1 it is sharper.
      seed: of the draws. A source gets the same texts in any batch.

    Raises:
      FlagError: a number out of range, or settings that do not go together.
    """

    max_length: int = 64
    beam_size: int = 1
    length_penalty: float = 1.0
    no_repeat_ngram: int = 0
    num_best: int = 1
    top_p: float | None = None
    temperature: float = 1.0
    seed: int = 12345

    def __post_init__(self) -> None:
        if self.max_length < 2:
            raise FlagError(
                f"--max_target_length={self.max_length} leaves no room for a token beside the one that ends a text; "
                "expected at least 2"
            )
        if self.beam_size < 1 or self.num_best < 1:
            name, value = ("beam_size", self.beam_size) if self.beam_size < 1 else ("num_best", self.num_best)
            raise FlagError(f"--{name}={value}: no text would be written; expected at least 1")
        if not math.isfinite(self.length_penalty):
            raise FlagError(f"--length_penalty={self.length_penalty}: expected a finite number; 1 is usual")
        if self.no_repeat_ngram < 0:
            raise FlagError(f"--no_repeat_ngram={self.no_repeat_ngram}: expected 0 (off) or a number of tokens, 3 say")
        self._check_drawing()

    @property
    def texts_at_once(self) -> int:
        """How many texts of a source are in the making."""
        return max(self.beam_size, self.num_best)

    def _check_drawing(self) -> None:
        if self.top_p is None:
            if self.temperature != 1.0:
                raise FlagError(f"--temperature={self.temperature} needs --top_p; add it, --top_p=1 draws among all")
            if self.num_best > self.beam_size:
                raise FlagError(
                    f"--num_best={self.num_best} is more than --beam_size={self.beam_size}, which is how many texts "
                    "are followed; raise it, or draw texts with --top_p"
                )
            return
        if not 0.0 < self.top_p <= 1.0:
            raise FlagError(f"--top_p={self.top_p}: expected a share above 0, and 1 at most; 0.9 is usual")
        if not 0.0 < self.temperature < math.inf:
            raise FlagError(f"--temperature={self.temperature}: expected a finite number above 0; 1 is usual")
        if self.beam_size > 1:
            raise FlagError(
                f"--top_p={self.top_p} draws tokens, --beam_size={self.beam_size} searches for the best text; remove "
                "one of them"
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
