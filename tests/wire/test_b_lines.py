"""Field lines that are nobody's business but the two ends' arrive as they were sent, in both directions."""

import pytest

from tests.wire.forms import DATE, Form, keeps, refuses, relays
from tests.wire.rig import FORWARDED, Rig, request

OBS_TEXT = bytes(range(0x80, 0x100))


async def test_b1_lines_of_one_name_keep_their_order(rig: Rig, form: Form) -> None:
    await keeps(rig, form, b"X-L: 2", b"Accept: b", b"X-L: 1", b"Accept: a", b"X-L: 3", b"X-L: 1")


async def test_b2_duplicates_stay_separate_lines_also_when_their_case_differs(rig: Rig, form: Form) -> None:
    await keeps(rig, form, b"X-b: 2", b"X-B: 3", b"X-b: 2", b"x-b: 2, 3", b"Cookie: a=1", b"cookie: b=2")


async def test_b3_names_keep_their_case_and_lines_their_order(rig: Rig, form: Form) -> None:
    await keeps(rig, form, b"zULU: 1", b"ACCEPT: x", b"user-AGENT: y", b"Alpha: 2", b"eTaG: 3", b"CONTENT-type: t/p")


async def test_b3_so_do_the_lines_a_proxy_reads(rig: Rig, transmission: Form) -> None:
    lines = [b"X-A: 1", b"hOsT: a", b"X-B: 2", b"cOntent-lEngth: 5", b"X-C: 3"]
    start = b"PUT / HTTP/1.1"
    relayed = [b"HTTP/1.1 200 OK", b"X-A: 1", b"dATE: once", b"CONTENT-LENGTH: 2", b"X-B: 2", b"", b"ok"]
    await relays(
        rig,
        transmission,
        sent=b"\r\n".join([start, *lines, b"", b"hello"]),
        forwarded=b"\r\n".join([start, *lines, *FORWARDED, b"", b"hello"]),
        answered=b"\r\n".join(relayed),
        relayed=b"\r\n".join(relayed),
    )


async def test_b4_bytes_over_7f_in_values_pass(rig: Rig, form: Form) -> None:
    await keeps(rig, form, b"X: " + OBS_TEXT, b"Referer: \xe9\xff", b"Set-Cookie: n=\xc3\xa9", b"X:\x80")


async def test_b5_an_empty_value_stays_present_and_empty(rig: Rig, form: Form) -> None:
    await keeps(rig, form, b"X-Empty:", b"Accept: ", b"Accept-Encoding:", b"X-Blank: \t ", b"Cookie:", b"X-Empty:")


async def test_b6_names_with_underscores_pass(rig: Rig, form: Form) -> None:
    await keeps(rig, form, b"X_under: 1", b"_: 2", b"User_Agent: 3", b"X_Forwarded: 4", b"Content_Type: 5", b"Host_: 6")


@pytest.mark.parametrize(
    "name",
    [
        b"Content_Length", b"content_length", b"Transfer_Encoding", b"TRANSFER_ENCODING", b"X_Forwarded_For",
        b"X-Forwarded_For", b"X_Forwarded-For", b"X_Forwarded_Proto", b"X_Forwarded_Host", b"Keep_Alive",
        b"Proxy_Connection", b"Proxy_Authorization", b"HTTP2_Settings", b"Max_Forwards", b"X_Shadow_Request",
    ],
)  # fmt: skip
async def test_b6_an_underscore_spelling_of_a_field_that_is_ours_is_refused(
    rig: Rig, transmission: Form, name: bytes
) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"POST /", name + b": 0"), 400, "field")


async def test_b6_of_a_backend_it_passes(rig: Rig, form: Form) -> None:
    await relays(
        rig,
        form,
        answered=form.response(DATE, b"Content_Length: 7", b"Transfer_Encoding: x", body=b"ok"),
        relayed=form.relayed(DATE, b"Content_Length: 7", b"Transfer_Encoding: x", body=b"ok"),
    )


async def test_b7_blanks_round_a_value_pass(rig: Rig, form: Form) -> None:
    await keeps(rig, form, b"X:v", b"X: v", b"X:\tv\t", b"X: \t v, \t w \t ", b"Accept:  a  ", b"X: \xa0v\x85")


async def test_b7_blanks_round_a_value_we_read_are_ignored_and_pass(rig: Rig, transmission: Form) -> None:
    start, length, host = b"PUT / HTTP/1.1", b"Content-Length: \t5\t ", b"Host:\ta \t"
    relayed = b"\r\n".join([b"HTTP/1.1 200 OK", DATE, b"Content-Length:\t 2 \t", b"", b"ok"])
    await relays(
        rig,
        transmission,
        sent=b"\r\n".join([start, host, length, b"Connection:\t x \t", b"X: 1", b"", b"hello"]),
        forwarded=b"\r\n".join([start, host, length, *FORWARDED, b"", b"hello"]),
        answered=relayed,
        relayed=relayed,
    )
