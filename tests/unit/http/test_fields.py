import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import (
    Field,
    Lines,
    Special,
    is_host,
    is_protected,
    name_of,
    read_line,
)

ALL_BYTES = [bytes((value,)) for value in range(256)]
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def is_bad(field: Field | None) -> bool:
    return field is not None and field.special is Special.BAD


def of(line: bytes) -> Field:
    field = read_line(line)
    assert field is not None
    return field


# --- the grammar of a line, every byte in every position


@pytest.mark.parametrize("template", [b"%bX-Name: v", b"X-%bName: v", b"X-Name%b: v"], ids=["first", "inside", "last"])
def test_names_are_made_of_token_bytes_only(template: bytes) -> None:
    accepted = b"".join(byte for byte in ALL_BYTES if read_line(template % byte) is None)
    extra = b":"  # ends the name early, which is another good line unless the name would be empty
    assert accepted.replace(extra, b"") == bytes(sorted(TOKEN_BYTES))


@pytest.mark.parametrize("template", [b"X-Name:%bv", b"X-Name: a%bb", b"X-Name: v%b"], ids=["first", "inside", "last"])
def test_values_refuse_controls_and_del_and_keep_obs_text(template: bytes) -> None:
    refused = {byte for byte in ALL_BYTES if is_bad(read_line(template % byte))}
    assert refused == {bytes((value,)) for value in (*range(9), *range(10, 32), 127)}


@pytest.mark.parametrize(
    "line",
    [b"", b":", b": v", b"name", b"na me: v", b"name : v", b"name\t: v", b" name: v", b"\tname: v", b"Bad[Name: v"],
)
def test_a_line_off_the_grammar_is_bad(line: bytes) -> None:
    assert is_bad(read_line(line))


@pytest.mark.parametrize("line", [b"X:", b"X: ", b"X:\t", b"X-Under_score: 1", b"X_under: 1", b"a:b:c"])
def test_any_other_field_is_nobodys_business(line: bytes) -> None:
    assert read_line(line) is None


@pytest.mark.parametrize(
    "name",
    [b"Content_Length", b"content_length", b"Transfer_Encoding", b"X_Forwarded_For", b"X_Forwarded-For", b"Keep_Alive"],
)
def test_underscore_spellings_of_our_fields_are_told_apart(name: bytes) -> None:
    assert of(name + b": 5").special is Special.LOOKALIKE


# --- what special fields say


@pytest.mark.parametrize("value", [b"chunked \t", b" chunked", b"\tchunked\t ", b"chunked"])
def test_blanks_round_a_value_are_not_part_of_it(value: bytes) -> None:
    assert of(b"Transfer-Encoding:" + value).value == b"chunked"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        pytest.param(b"0", 0, id="zero"),
        pytest.param(b"5", 5, id="digit"),
        pytest.param(b"05", 5, id="leading zero"),
        pytest.param(b"9223372036854775807", 2**63 - 1, id="largest"),
        pytest.param(b"9223372036854775808", -1, id="largest + 1"),
        pytest.param(b"00000000000000000005", -1, id="20 digits"),
        *[
            pytest.param(value, -1, id=repr(value))
            for value in (b"", b"+5", b"-0", b"0x5", b"1_0", b"5 5", b"5, 5", b"5,", b"\xb2", b"5.0", b"5\x0b", b"five")
        ],
    ],
)
def test_content_length_is_digits_up_to_the_largest(value: bytes, number: int) -> None:
    field = read_line(b"Content-Length: " + value)
    assert field is not None
    assert is_bad(field) or field.number == number
    assert not is_bad(field) or number == -1


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        (b"close", (b"close",)),
        (b"Close , X-A,\tx-b", (b"close", b"x-a", b"x-b")),
        (b'"close"', ()),
        (b",,close,", (b"close",)),
        (b"a b, close", (b"close",)),
        (b"", ()),
    ],
)
def test_connection_members_are_lower_case_tokens(value: bytes, tokens: tuple[bytes, ...]) -> None:
    assert of(b"Connection: " + value).tokens == tokens


@pytest.mark.parametrize(
    ("value", "takes"),
    [(b"trailers", True), (b"gzip;q=0.5, Trailers", True), (b"gzip", False), (b"xtrailers", False)],
)
def test_te_members_are_read_without_their_weights(value: bytes, takes: bool) -> None:  # noqa: FBT001
    assert (b"trailers" in of(b"TE: " + value).tokens) is takes


@pytest.mark.parametrize(
    ("value", "idle_s"),
    [(b"timeout=5", 5), (b"max=100, timeout=7", 7), (b'timeout="3"', 3), (b"max=1", -1), (b"xtimeout=9", -1)],
)
def test_keep_alive_timeout_is_read(value: bytes, idle_s: int) -> None:
    assert of(b"Keep-Alive: " + value).number == idle_s


# --- Host


@pytest.mark.parametrize(
    "value",
    [
        b"a", b"a.b", b"a:80", b"a:", b"127.0.0.1:65535", b"[::1]", b"[::1]:8080", b"a_b", b"a%2Fb", b"A.B", b"a:0",
    ],
)  # fmt: skip
def test_hosts_are_names_and_addresses_with_a_port(value: bytes) -> None:
    assert is_host(value)


@pytest.mark.parametrize(
    "value",
    [
        b"", b":80", b"u@a", b"a/b", b"a,b", b"a b", b"a:x", b"a:65536", b"a:99999", b"a:123456", b"::1", b"[::1",
        b"[g::1]", b"[]", b"a?b", b"a#b", b"a\\b", b"a%2", b"a%zz", b"a:80:80", b"\xe9", b"a\x00", b"a:\xb2",
    ],
)  # fmt: skip
def test_anything_else_is_no_host(value: bytes) -> None:
    assert not is_host(value)
    field = read_line(b"Host: " + value)
    assert is_bad(field) or (field is not None and not field.is_canonical)


@pytest.mark.timeout(5)
def test_a_long_bad_host_is_refused_without_backtracking() -> None:
    assert not is_host(b"a" * 50_000 + b"/")  # trying every way to split it would outlast us all


# --- names


@pytest.mark.parametrize("name", [b"host", b"content-type", b"cookie", b"set-cookie", b"via", b"if-match", b"range"])
def test_fields_the_ends_rely_on_are_protected(name: bytes) -> None:
    assert is_protected(name)


@pytest.mark.parametrize("name", [b"x-host", b"contents", b"hosts", b"keep-alive", b"x-content-type", b"te"])
def test_other_fields_may_be_nominated(name: bytes) -> None:
    assert not is_protected(name)


def test_names_are_compared_in_lower_case() -> None:
    assert name_of(b"hOsT: a:80") == b"host"


# --- the memory of lines

lines_of_fields = st.sampled_from(
    [b"Accept", b"Host", b"X-Id", b"Cookie", b"content-length", b"Connection", b"Bad Name"]
)
written_lines = st.builds(
    lambda name, sep, value: name + sep + value,
    lines_of_fields,
    st.sampled_from([b": ", b":", b"", b" :"]),
    st.binary(max_size=6),
)


@given(st.lists(written_lines, max_size=60), st.integers(1, 4))
def test_remembering_never_changes_what_a_line_means(lines: list[bytes], most: int) -> None:
    remembered = Lines(most=most, longest=24)
    for line in [*lines, *lines]:
        expected, found = read_line(line), remembered.meaning(line)
        assert is_bad(found) if is_bad(expected) else found == expected


def test_a_line_without_a_colon_stays_bad_after_its_prefix_became_a_known_name() -> None:
    lines = Lines()
    assert lines.meaning(b"Accept: */*") is None
    assert is_bad(lines.meaning(b"AcceptX"))


def test_memory_is_bounded_in_entries_and_length() -> None:
    lines = Lines(most=8, longest=32)
    for number in range(1000):
        lines.meaning(b"Name-%d: %d" % (number, number))
        lines.meaning(b"Connection: close, t%d" % number)
    lines.meaning(b"Connection: " + b"x" * 100)
    assert len(lines._known) <= 8
    assert len(lines._names) <= 8
    assert max(map(len, lines._known)) <= 32


@pytest.mark.parametrize("name", [b"Authorization", b"Cookie", b"X-Api-Key", b"Proxy-Authorization", b"X-Auth-Token"])
def test_lines_that_hold_secrets_are_never_remembered(name: bytes) -> None:
    lines = Lines()
    for _ in range(3):
        lines.meaning(name + b": s3cret")
    assert not any(b"s3cret" in line for line in lines._known)


def test_a_name_with_ever_new_values_stops_filling_the_memory() -> None:
    lines = Lines()
    for number in range(500):
        assert lines.meaning(b"X-Request-Id: %d" % number) is None
    assert sum(line.startswith(b"X-Request-Id") for line in lines._known) <= 40
    assert is_bad(lines.meaning(b"X-Request-Id: \x00"))


def test_long_names_are_not_remembered_however_many_come() -> None:
    lines = Lines()
    for number in range(1000):
        assert lines.meaning(b"X-%d-%b: v" % (number, b"x" * 5000)) is None
    assert lines.meaning(b"X-%b: v" % (b"x" * 62)) is None
    assert [len(name) for name in lines._names] == [64]


def test_a_flood_of_long_names_does_not_displace_the_short_ones() -> None:
    lines = Lines(most=1)
    lines.meaning(b"Accept: a")
    lines.meaning(b"X-%b: v" % (b"x" * 100))
    assert list(lines._names) == [b"Accept"]
