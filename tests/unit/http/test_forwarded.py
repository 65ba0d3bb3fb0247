import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Forwarded
from proxy.http.forwarded import Asker, ForwardedLines, element

NAME = b"shadow-proxy-c0ffee"
ASKER = Asker(1, b"192.0.2.7", b"https", b"a.example:81")
SETTINGS = [
    Forwarded.model_validate({"mode": mode, "fields": fields})
    for mode in ("on", "off")
    for fields in ([], ["x-forwarded"], ["forwarded"], ["forwarded", "x-forwarded"])
]
PAIR = re.compile(rb'(for|host|proto)=([!#$%&\'*+\-.^_`|~0-9A-Za-z]+|"[^"\\]*")')
"""RFC 7239 §4, for what needs no escapes."""


def lines_of(ours: bytes) -> list[bytes]:
    assert ours.startswith(b"\r\n")
    assert ours.endswith(b"\r\n\r\n")
    return ours[2:-4].split(b"\r\n")


@pytest.mark.parametrize(
    ("peer", "host", "expected"),
    [
        (b"192.0.2.7", b"a", b"for=192.0.2.7;host=a;proto=https"),
        (b"192.0.2.7", b"a:81", b'for=192.0.2.7;host="a:81";proto=https'),
        (b"2001:db8::1", b"[::1]", b'for="[2001:db8::1]";host="[::1]";proto=https'),
        (b"fe80::1%eth0", b"a(b)=c", b'for="[fe80::1%eth0]";host="a(b)=c";proto=https'),
        (b"unknown", b"", b"for=unknown;proto=https"),
    ],
)
def test_what_is_no_token_is_quoted_in_forwarded(peer: bytes, host: bytes, expected: bytes) -> None:
    assert element(Asker(1, peer, b"https", host)) == expected
    assert all(PAIR.fullmatch(pair) for pair in re.findall(rb'(?:[^;"]|"[^"]*")+', expected))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_only_what_is_configured_is_written_and_via_always(settings: Forwarded) -> None:
    names = [line.partition(b":")[0] for line in lines_of(ForwardedLines(settings, NAME).first(ASKER))]
    x_forwarded = [b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"]
    is_on = settings.mode == "on"
    assert names == [
        b"Via",
        *(x_forwarded if is_on and "x-forwarded" in settings.fields else []),
        *([b"Forwarded"] if is_on and "forwarded" in settings.fields else []),
    ]


def test_without_a_host_none_is_claimed() -> None:
    ours = ForwardedLines(Forwarded(), NAME).first(Asker(0, b"::1", b"http", b""))
    assert lines_of(ours) == [b"Via: 1.0 " + NAME, b"X-Forwarded-For: ::1", b"X-Forwarded-Proto: http"]


@pytest.mark.parametrize("settings", SETTINGS[:4], ids=str)
def test_a_trusted_peer_that_says_nothing_is_like_any_client(settings: Forwarded) -> None:
    lines = ForwardedLines(settings, NAME)
    assert lines.further(b"Host: a\r\nX: 1", ASKER) == (b"Host: a\r\nX: 1", lines.first(ASKER))


def test_chains_grow_in_order_and_lines_beside_them_stay() -> None:
    fields = b"\r\n".join(
        [
            b"X-Forwarded-For: 1.1.1.1", b"Host: a", b"forwarded:for=2.2.2.2 ", b"X-Forwarded-Proto: https",
            b"X-FORWARDED-for:", b"X: x-forwarded-for: 9.9.9.9", b"x-forwarded-for: 3.3.3.3,4.4.4.4",
        ]
    )  # fmt: skip
    rest, ours = ForwardedLines(Forwarded(), NAME).further(fields, ASKER)
    assert rest == b"Host: a\r\nX-Forwarded-Proto: https\r\nX: x-forwarded-for: 9.9.9.9"
    assert lines_of(ours) == [
        b"Via: 1.1 " + NAME,
        b"X-Forwarded-For: 1.1.1.1, 3.3.3.3,4.4.4.4, 192.0.2.7",
        b"X-Forwarded-Host: a.example:81",
        b'Forwarded: for=2.2.2.2, for=192.0.2.7;host="a.example:81";proto=https',
    ]


LINES = st.lists(
    st.builds(
        lambda name, value: name + b":" + value,
        st.sampled_from([b"Host", b"X-Forwarded-For", b"x-forwarded-proto", b"FORWARDED", b"X-Forwarded-Port", b"X"]),
        st.text("a1.: ,;\t", max_size=8).map(str.encode),
    )
)


@given(LINES, st.sampled_from(SETTINGS))
def test_all_other_lines_stay_as_they_are_and_no_chain_stands_twice(lines: list[bytes], settings: Forwarded) -> None:
    rest, ours = ForwardedLines(settings, NAME).further(b"\r\n".join(lines), ASKER)
    chains = (b"x-forwarded-for:", b"forwarded:")
    assert rest == b"\r\n".join(line for line in lines if not line.lower().startswith(chains))
    for chain in chains:
        written = [line for line in lines_of(ours) if line.lower().startswith(chain)]
        sent = [line for line in lines if line.lower().startswith(chain)]
        assert len(written) <= 1
        assert bool(written) >= bool(sent)
