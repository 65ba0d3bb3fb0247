from itertools import permutations

import pytest

from proxy.config.models import Mode
from proxy.core.modes import LIVE_MODES, is_bolder, safer

IN_ORDER = [Mode.PRIMARY, Mode.SHADOW, Mode.CANARY, Mode.CANDIDATE, Mode.RETIRED]


@pytest.mark.parametrize(("one", "other"), [*permutations(IN_ORDER, 2)])
def test_modes_are_ordered_by_trust_in_the_candidate(one: Mode, other: Mode) -> None:
    bolder = IN_ORDER.index(one) > IN_ORDER.index(other)
    assert is_bolder(one, other) is bolder
    assert safer(one, other) is (other if bolder else one)


@pytest.mark.parametrize("mode", Mode)
def test_no_mode_is_bolder_than_itself(mode: Mode) -> None:
    assert not is_bolder(mode, mode)
    assert safer(mode, mode) is mode


def test_live_modes_answer_every_client_from_the_primary() -> None:
    assert LIVE_MODES == (Mode.PRIMARY, Mode.SHADOW)
