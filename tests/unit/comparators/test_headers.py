from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import Comparison, Kind, Response, Rule, Verdict, compare
from comparators.headers import Headers, Origins
from comparators.policies import IGNORED, MASK
from tests.unit.comparators.trees import NO_RULES, found, rule, rule_set

Pairs = list[tuple[str, str]]


def compare_fields(primary: Pairs, candidate: Pairs, *rules: Rule, **settings: str) -> Comparison:
    ours, theirs = Response.from_pairs(200, primary), Response.from_pairs(200, candidate)
    return compare(ours, theirs, rule_set(*rules, **settings))


def differing(comparison: Comparison) -> set[str]:
    return {str(path[0]).removeprefix("header:") for path, _ in found(comparison)}


def test_an_unlisted_header_is_compared_by_presence_and_value() -> None:
    assert differing(compare_fields([("X-Plan", "a")], [("x-plan", "b")])) == {"x-plan"}
    assert differing(compare_fields([("X-Plan", "a")], [])) == {"x-plan"}
    assert differing(compare_fields([], [("X-Plan", "a")])) == {"x-plan"}
    assert compare_fields([("X-Plan", " a")], [("x-PLAN", "a\t")]).verdict is Verdict.MATCH


@pytest.mark.parametrize("name", sorted(IGNORED | {"x-b3-traceid", "x-amzn-requestid"}))
def test_headers_ignored_by_default_leave_no_trace(name: str) -> None:
    for candidate in ([(name.title(), "b"), ("x", "1")], [("x", "1")], [("x", "1"), (name, "a"), (name, "b")]):
        assert compare_fields([(name, "a"), ("x", "1")], candidate)._replace(walked=False) == compare_fields([], [])


def test_order_of_names_is_free_and_order_of_values_is_not() -> None:
    assert compare_fields([("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")]).verdict is Verdict.MATCH
    assert (
        compare_fields([("a", "1"), ("a", "2"), ("b", "3")], [("a", "1"), ("b", "3"), ("A", "2")]).verdict
        is Verdict.MATCH
    )
    assert differing(compare_fields([("a", "1"), ("a", "2")], [("a", "2"), ("a", "1")])) == {"a"}


fields = st.lists(st.tuples(st.sampled_from(["a", "A", "b", "date", "etag"]), st.sampled_from(["1", "2"])), max_size=6)


@given(fields, fields)
def test_the_fast_path_never_agrees_where_the_full_comparison_does_not(primary: Pairs, candidate: Pairs) -> None:
    def by_name(pairs: Pairs) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for name, value in pairs:
            if name.lower() != "date":
                groups.setdefault(name.lower(), []).append(value)
        return groups

    ours, theirs = by_name(primary), by_name(candidate)
    expected = {
        name
        for name in ours | theirs
        if (
            len(ours.get(name, ())) != len(theirs.get(name, ()))
            if name == "etag"
            else ours.get(name) != theirs.get(name)
        )
    }
    assert differing(compare_fields(primary, candidate)) == expected
    left, right = Response.from_pairs(200, primary), Response.from_pairs(200, candidate)
    if Headers([], Origins("", "")).agree(left.fields, right.fields):
        assert ours == theirs


def test_values_that_builds_and_clocks_decide_are_compared_by_presence() -> None:
    assert compare_fields([("ETag", '"a"')], [("etag", '"b"')]).verdict is Verdict.MATCH
    assert differing(compare_fields([("ETag", '"a"')], [])) == {"etag"}


def test_links_are_equal_once_each_backends_origin_is_taken_out() -> None:
    origins = {"primary_origin": "http://10.0.0.1:8001", "candidate_origin": "http://10.0.0.2:8002/"}
    primary = [("Location", "http://10.0.0.1:8001/users/7"), ("Link", "<http://10.0.0.1:8001/a>; rel=next")]
    candidate = [("Location", "HTTP://10.0.0.2:8002/users/7"), ("Link", "<http://10.0.0.2:8002/a>; rel=next")]
    assert compare_fields(primary, candidate, **origins).verdict is Verdict.MATCH
    assert differing(compare_fields(primary, candidate)) == {"location", "link"}
    for wrong in ("http://10.0.0.2:8002/users/8", "http://10.0.0.2:80020/users/7", "http://10.0.0.2:8002.evil/users/7"):
        assert differing(compare_fields(primary[:1], [("Location", wrong)], **origins)) == {"location"}


def test_nonces_of_a_security_policy_are_masked() -> None:
    primary, candidate = [("Content-Security-Policy", "script-src 'nonce-abc'")], "script-src 'nonce-xyz'"
    assert compare_fields(primary, [("Content-Security-Policy", candidate)]).verdict is Verdict.MATCH
    assert compare_fields(primary, [("Content-Security-Policy", candidate + " *")]).count == 1


def test_content_type_parameters_other_than_charset_are_exact() -> None:
    def count(primary: str, candidate: str) -> int:
        return compare_fields([("content-type", primary)], [("content-type", candidate)]).count

    assert count("application/json", "Application/JSON ; charset=utf-8") == 0
    assert count("application/json; profile=a", "application/json; profile=b") == 1
    assert count("multipart/mixed; boundary=a", "multipart/mixed; boundary=b") == 0


def test_secrets_are_compared_and_never_shown() -> None:
    for name in ("Authorization", "X-CSRF-Token", "X-Api-Key"):
        (difference,) = compare_fields([(name, "hunter2")], [(name, "hunter3")]).differences
        assert (difference.primary, difference.candidate) == (MASK, MASK)
    (difference,) = compare_fields([("Set-Cookie", "sid=hunter2; Secure")], [("Set-Cookie", "sid=hunter3")]).differences
    assert "hunter" not in repr(difference)
    assert difference.path == ("header:set-cookie", "sid")


COOKIE = "sid=abc; Path=/; HttpOnly; Max-Age=3600; Expires=Fri, 20 Nov 2026 10:11:12 GMT"


@pytest.mark.parametrize(
    "candidate",
    [
        "sid=xyz; httponly; path=/; max-age=3604; expires=Fri, 20 Nov 2026 10:11:16 GMT",
        COOKIE,
    ],
)
def test_cookies_with_other_values_and_near_expiry_stand_for_each_other(candidate: str) -> None:
    assert (
        compare_fields(
            [("Set-Cookie", COOKIE), ("Set-Cookie", "a=1")], [("Set-Cookie", "a=2"), ("Set-Cookie", candidate)]
        ).verdict
        is Verdict.MATCH
    )


@pytest.mark.parametrize(
    "candidate",
    [
        COOKIE.replace("; HttpOnly", ""),
        COOKIE.replace("Path=/", "Path=/a"),
        COOKIE.replace("abc", ""),
        COOKIE.replace("sid", "SID"),
        COOKIE.replace("3600", "3606"),
        COOKIE.replace("; Max-Age=3600", ""),
        COOKIE.replace("10:11:12", "10:11:18"),
        COOKIE.replace("Fri, 20 Nov 2026 10:11:12 GMT", "soon"),
    ],
)
def test_cookies_that_a_client_would_treat_differently_differ(candidate: str) -> None:
    assert differing(compare_fields([("Set-Cookie", COOKIE)], [("Set-Cookie", candidate)])) == {"set-cookie"}


@given(st.text(max_size=40) | st.text("0123456789 :,-+GMTNov", max_size=30))
def test_no_expiry_is_too_odd_to_compare(text: str) -> None:
    odd = f"sid=abc; Expires={text}; Max-Age={text}".encode("latin-1", "ignore").replace(b"\r", b"").replace(b"\n", b"")
    fields = b"set-cookie: " + odd + b"\r\n", b"set-cookie: sid=abc\r\n"
    for one, other in (fields, fields[::-1]):
        assert compare(Response(200, one, b""), Response(200, other, b""), NO_RULES).verdict in Verdict


def test_a_rule_wins_over_the_lists() -> None:
    assert differing(compare_fields([("Server", "a")], [("Server", "b")], rule("header:server", "exact"))) == {"server"}
    comparison = compare_fields([("X-Shard", "1")], [("X-Shard", "2")], rule("header:X-Shard", "ignore", id="s"))
    assert (comparison.verdict, comparison.hits) == (Verdict.TOLERATED, {"s": 1})
    assert compare_fields([("X-Shard", "1")], [], rule("header:x-shard", "ignore")).verdict is Verdict.TOLERATED
    assert compare_fields(
        [("X-Shard", "1"), ("x", "a")], [("x", "a"), ("X-Shard", "1")], rule("header:x-shard", "ignore", id="s")
    ).hits == {"s": 0}


def test_a_rule_may_use_any_leaf_comparator_on_each_value() -> None:
    uuids = "5f0c8e0a-52d0-4a53-9d2e-4c5a1f6f7f10", "00000000-0000-0000-0000-00000000000f"
    by_format = rule("header:x-trace", "format", {"as": "uuid"})
    assert compare_fields([("X-Trace", uuids[0])], [("X-Trace", uuids[1])], by_format).verdict is Verdict.TOLERATED
    assert found(compare_fields([("X-Trace", uuids[0])], [("X-Trace", "none")], by_format)) == {
        (("header:x-trace",), Kind.HEADER)
    }
    assert compare_fields([("X-Trace", uuids[0])], [], by_format).count == 1


def test_wildcards_cover_prefixes_and_the_longer_one_wins() -> None:
    rules = rule("header:x-shard-*", "ignore", id="wide"), rule("header:x-shard-key-*", "exact", id="narrow")
    comparison = compare_fields(
        [("x-shard-a", "1"), ("x-shard-key-a", "1")], [("x-shard-a", "2"), ("x-shard-key-a", "2")], *rules
    )
    assert (differing(comparison), comparison.hits) == ({"x-shard-key-a"}, {"wide": 1, "narrow": 0})


def test_a_wildcard_does_not_ignore_protected_headers_that_it_happens_to_cover() -> None:
    primary, candidate = [("X-Auth-Mode", "a"), ("X-Auth-Token", "b")], [("X-Auth-Mode", "c")]
    assert differing(compare_fields(primary, candidate, rule("header:x-auth-*", "ignore"))) == {"x-auth-token"}
    broad = rule("header:x-auth-*", "ignore", allow_broad=True)
    assert compare_fields(primary, candidate, broad).verdict is Verdict.TOLERATED


def test_ignoring_the_content_type_leaves_bodies_to_the_primarys() -> None:
    rules = rule_set(rule("header:content-type", "ignore", allow_broad=True))
    primary = Response.from_pairs(200, [("content-type", "application/json")], b"[1]")
    candidate = Response.from_pairs(200, [("content-type", "text/plain")], b"[ 1 ]")
    assert compare(primary, candidate, rules).verdict is Verdict.TOLERATED


def test_no_value_is_remembered_between_comparisons() -> None:
    names = NO_RULES.headers._names
    compare(
        Response.from_pairs(200, [("Cookie", "planted-secret")]), Response.from_pairs(200, [("Cookie", "b")]), NO_RULES
    )
    compare(Response.from_pairs(200, [("x" * 100, "1")]), Response.from_pairs(200, []), NO_RULES)
    assert all(len(raw) <= 64 and b"planted-secret" not in raw for raw in names)
    for number in range(3_000):
        compare(Response.from_pairs(200, [(f"x-{number}", "1")]), Response.from_pairs(200, []), NO_RULES)
    assert len(names) <= 2_000
