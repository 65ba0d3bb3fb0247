from typing import Any

import pytest

from proxy.config.models import Mode
from proxy.control.api.flags import LATCHED, check_share, flags, migration_status, state_asked_for
from proxy.control.api.problems import Problem
from proxy.control.state import ServiceState
from tests.unit.control.settings import settings

RANKER = settings().services["ranker"]
PRIMARY, SHADOW = ServiceState(Mode.PRIMARY), ServiceState(Mode.SHADOW)


@pytest.mark.parametrize(
    ("state", "phase", "v2_enabled", "shadow_mode"),
    [
        (PRIMARY, "PHASE_1_BETA", True, False),
        (LATCHED, "PHASE_1_BETA", False, False),
        (SHADOW, "PHASE_2_BETA_SHADOW", True, True),
    ],
)
def test_a_state_reads_as_flags_and_phase(
    state: ServiceState, phase: str, *, v2_enabled: bool, shadow_mode: bool
) -> None:
    found = flags(RANKER, state)
    assert (found["v2_enabled"], found["shadow_mode"], found["mode"]) == (v2_enabled, shadow_mode, state.mode)
    assert (found["v2_primary"], found["v1_deprecated"], found["use_candidate"], found["weight"]) == (
        False,
        False,
        False,
        0,
    )
    assert (found["primary"], found["candidate"], found["share"]) == ("v1", "v2", 1.0)
    assert migration_status("ranker", state) == {
        "phase": phase,
        "v1_active": True,
        "v2_active": v2_enabled,
        "shadow_mode": shadow_mode,
        "service": "ranker",
    }


@pytest.mark.parametrize("before", [PRIMARY, SHADOW, LATCHED])
@pytest.mark.parametrize(
    ("asked", "after"),
    [
        ({"shadow_mode": True}, SHADOW),
        ({"mode": "shadow"}, SHADOW),
        ({"shadow_mode": True, "v2_enabled": True}, SHADOW),
        ({"v2_enabled": False}, LATCHED),
        ({"v2_enabled": False, "shadow_mode": False}, LATCHED),
        ({"v2_enabled": True, "shadow_mode": False}, PRIMARY),
    ],
)
def test_flags_ask_for_a_state(before: ServiceState, asked: dict[str, Any], after: ServiceState) -> None:
    assert state_asked_for(asked, RANKER, before) == after


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        (SHADOW, {"shadow_mode": False}, PRIMARY),
        (LATCHED, {"shadow_mode": False}, LATCHED),
        (LATCHED, {"mode": "primary"}, LATCHED),
        (LATCHED, {"v2_enabled": True}, PRIMARY),
        (SHADOW, {"v2_enabled": True}, SHADOW),
        (SHADOW, {"v2_primary": False, "percentage": 0, "share": 1, "primary": "v1"}, SHADOW),
    ],
)
def test_what_is_not_asked_for_stays(before: ServiceState, asked: dict[str, Any], after: ServiceState) -> None:
    assert state_asked_for(asked, RANKER, before) == after


@pytest.mark.parametrize("before", [PRIMARY, SHADOW, LATCHED])
def test_asking_for_all_present_flags_changes_nothing(before: ServiceState) -> None:
    assert state_asked_for(flags(RANKER, before), RANKER, before) == before


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"v3_enabled": True}, 422),
        ({"shadow_mode": "true"}, 422),
        ({"shadow_mode": 1}, 422),
        ({"percentage": True}, 422),
        ({"percentage": 1.5}, 422),
        ({"mode": "loud"}, 422),
        ({"mode": None}, 422),
        ({"v2_enabled": False, "shadow_mode": True}, 422),
        ({"shadow_mode": True, "mode": "primary"}, 422),
        ({"shadow_mode": False, "mode": "shadow"}, 422),
        ({"v2_primary": True}, 409),
        ({"use_candidate": True}, 409),
        ({"percentage": 10}, 409),
        ({"v1_deprecated": True}, 409),
        ({"mode": "canary"}, 409),
        ({"share": 0.5}, 409),
        ({"migration_logging": False}, 409),
        ({"primary": "v2"}, 409),
        ({"shadow_mode": False, "v2_primary": True}, 409),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_as_a_whole(asked: dict[str, Any], status: int) -> None:
    with pytest.raises(Problem) as refused:
        state_asked_for(asked, RANKER, SHADOW)
    assert refused.value.status == status


def test_a_misspelt_flag_is_guessed() -> None:
    with pytest.raises(Problem) as refused:
        state_asked_for({"shadow_mod": True}, RANKER, SHADOW)
    assert refused.value.errors == [{"flag": "shadow_mod", "why": 'unknown flag, did you mean "shadow_mode"?'}]


@pytest.mark.parametrize(("share", "status"), [(0.5, 409), ("1", 422), (True, 422)])
def test_only_the_configured_share_can_be_named(share: object, status: int) -> None:
    check_share(1, RANKER)
    with pytest.raises(Problem) as refused:
        check_share(share, RANKER)
    assert refused.value.status == status
