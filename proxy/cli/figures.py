"""Numbers as people read them. A share that is not all never reads 100 %, one that is not none never 0 %."""

from collections.abc import Mapping

_HUNDREDTH = 0.0001


def percent(share: float) -> str:
    """`98.60 %`; the ends are kept for what is exactly none or all."""
    if 0 < share < _HUNDREDTH:
        return "< 0.01 %"
    if 1 - _HUNDREDTH < share < 1:
        return "> 99.99 %"
    return f"{100 * share:.2f} %"


def bare_percent(share: float) -> str:
    """`98.60`, inside a sentence that already says percent."""
    return percent(share).removesuffix(" %")


def whole_percent(share: float) -> str:
    """`10 %`, for shares somebody has set."""
    return f"{100 * share:g} %"


def milliseconds(seconds: float) -> str:
    """`0.41 ms`, `41.3 ms`, `412 ms`, `12,400 ms`: three figures, one unit, so that columns compare."""
    value = 1000 * seconds
    for limit, digits in ((1, 2), (100, 1)):
        if value < limit:
            return f"{value:.{digits}f} ms"
    return f"{value:,.0f} ms"


def duration(seconds: float) -> str:
    """`4m`, `2h 5m`, `3d 4h`: the two largest units from minutes up, else seconds."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m" if minutes else f"{whole}s"


def counts(numbers: Mapping[str, int]) -> str:
    """`4,559 match, 69 mismatch`: the largest first, none that is 0."""
    some = [(number, name) for name, number in numbers.items() if number]
    return ", ".join(f"{number:,} {name}" for number, name in sorted(some, key=lambda pair: (-pair[0], pair[1])))


def many(number: int, word: str) -> str:
    """`1 request`, `5,010 requests`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
