"""Signals: at once, or when a loop can stop."""

import signal

import pytest

from common.interruption import Interruption, Terminated, exit_code, sigterm_raises


def test_sigterm_raises_within_the_block_alone():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as stopped, sigterm_raises():
        signal.raise_signal(signal.SIGTERM)
    assert exit_code(stopped.value) == 143
    assert exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_deferred_signal_waits_for_the_loop_and_a_second_one_does_not(number, error):
    interruption = Interruption()
    with pytest.raises(error), interruption.handled():
        signal.raise_signal(number)
    with interruption.handled():
        interruption.is_deferred = True
        interruption.check()
        signal.raise_signal(number)
        assert interruption.is_requested()
        with pytest.raises(error):
            interruption.check()
        with pytest.raises(error), interruption.at_once():
            pytest.fail("the signal that waits comes first")
        assert interruption.is_deferred
        with pytest.raises(error):
            signal.raise_signal(number)
    assert not interruption.is_deferred
