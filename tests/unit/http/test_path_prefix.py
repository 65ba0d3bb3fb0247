from hypothesis import given
from hypothesis import strategies as st

from proxy.http.path_prefix import PathPrefix

SEGMENTS = st.lists(st.sampled_from([b"", b"a", b"api", b"ap", b"apix", b"v2", b"..", b".", b"%61"]), max_size=5)
TARGETS = st.builds(
    lambda segments, query: b"/" + b"/".join(segments) + query,
    SEGMENTS,
    st.sampled_from([b"", b"?", b"?a=/api/b", b"?/api"]),
)
PREFIXES = st.sampled_from([b"", b"/api", b"/api/v2", b"/a"])


@given(TARGETS | st.just(b"*"))
def test_without_a_prefix_nothing_changes(target: bytes) -> None:
    prefix = PathPrefix(b"", b"")
    assert prefix.is_none
    assert prefix.of(target) == target


@given(TARGETS, PREFIXES, PREFIXES)
def test_the_query_stays_and_the_path_begins_with_what_is_added(target: bytes, strip: bytes, add: bytes) -> None:
    path, mark, query = PathPrefix(strip, add).of(target).partition(b"?")
    assert (mark, query) == target.partition(b"?")[1:]
    assert path.startswith(add or b"/")
    assert path.startswith(b"/")


@given(TARGETS, PREFIXES)
def test_what_was_added_can_be_stripped_again(target: bytes, prefix: bytes) -> None:
    assert PathPrefix(prefix, b"").of(PathPrefix(b"", prefix).of(target)) == target


@given(TARGETS, PREFIXES)
def test_whole_segments_are_stripped_or_nothing(target: bytes, strip: bytes) -> None:
    path = target.partition(b"?")[0]
    wanted = strip.split(b"/")
    has_it = path.split(b"/")[: len(wanted)] == wanted
    assert (PathPrefix(strip, b"").of(target) != target) is (has_it and strip != b"")


@given(PREFIXES, PREFIXES)
def test_the_asterisk_is_no_path(strip: bytes, add: bytes) -> None:
    assert PathPrefix(strip, add).of(b"*") == b"*"
