"""What the backends answer: the nginx directives for a JSON prediction of a wanted size.

The two answers of a pair are never byte-equal: ids, times and last digits differ, so every comparison goes through
all of both. Up to 0.5 KB every float is new in every answer. Longer ones repeat one block of segments, whose floats end
in the digit of their backend: putting such an answer together is a copy, so the backend does not become the bottleneck.
"""

SMALL = 500

_OPENING = (
    '{"id":"$request_id","model":{"name":"ranker","version":"2.4.1"},"score":0.7310$connection_requests,'
    '"label":"likely","threshold":0.5,"segments":['
)
_SEGMENTS = ",".join(
    f'{{"name":"{name}","p":{p}$connection_requests}}'
    for name, p in (("new", "0.1250"), ("returning", "0.5525"), ("lapsed", "0.2430"))
)
_CLOSING = (
    '],"features":{"age_days":412,"orders":17,"basket":83.25,"country":"DE","device":"mobile","returning":true},'
    '"explanations":["recent orders raise the score","basket above the median","device seen before"],'
    '"created":$msec}'
)
_NAMES = ("new", "returning", "lapsed", "seasonal")
_REASONS = ("recent orders raise the score", "basket above the median", "device seen before")
_BLOCK_SEGMENTS = 13
_TOKEN_BYTES = 4000  # nginx reads no longer token than its configuration buffer of 4096 bytes


def directives(size_bytes: int, digit: int) -> str:
    """Return `set` and `return` for an answer within 6 % of `size_bytes` (500 to about 1,000,000 of them).

    `digit` (0-9) tells one backend's longer answers from the other's. Raises ValueError above what nginx can be told.
    """
    if size_bytes <= SMALL:
        return f"return 200 '{_OPENING}{_SEGMENTS}{_CLOSING}';"
    block = ",".join(_segment(number, digit) for number in range(_BLOCK_SEGMENTS))
    times = max(1, round((size_bytes - len(_OPENING) - len(_CLOSING)) / (len(block) + 1)))
    answer = f"{_OPENING}{','.join(['$s'] * times)}{_CLOSING}"
    if max(len(block), len(answer)) > _TOKEN_BYTES:
        raise ValueError(f"an answer of {size_bytes} bytes takes longer directives than nginx reads")
    return f"set $s '{block}'; return 200 '{answer}';"


def _segment(number: int, digit: int) -> str:
    name, reason = _NAMES[number % len(_NAMES)], _REASONS[number % len(_REASONS)]
    return f'{{"name":"{name}","p":0.{500 + number * 617}{digit},"orders":{number},"reason":"{reason}"}}'
