"""Modes in order of trust in the candidate: what is a promotion, what is a way back."""

from proxy.config.models import Mode

LIVE_MODES = (Mode.PRIMARY, Mode.SHADOW)
"""The modes an operator switches between without a rollout."""

_BOLDNESS = {Mode.PRIMARY: 0, Mode.SHADOW: 1, Mode.CANARY: 2, Mode.CANDIDATE: 3, Mode.RETIRED: 4}


def is_bolder(mode: Mode, than: Mode) -> bool:
    """Whether `mode` trusts the candidate more than `than` does."""
    return _BOLDNESS[mode] > _BOLDNESS[than]


def safer(one: Mode, other: Mode) -> Mode:
    """The mode that trusts the candidate less: what a boot takes of the stored and the configured one."""
    return other if is_bolder(one, other) else one
