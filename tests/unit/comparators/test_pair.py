from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import (
    Failure,
    Hint,
    Kind,
    Limits,
    Note,
    Outcome,
    Reason,
    Response,
    Rule,
    Tree,
    Verdict,
    compare,
    compile_rules,
)
from comparators.ledger import Ledger
from comparators.verdict import MATCH
from tests.unit.comparators.trees import (
    JSON_HEADER,
    NO_RULES,
    found,
    plain_trees,
    response,
    rule,
    rule_set,
    trees,
    unlimited,
    walk,
)

TEXT_HEADER = b"content-type: text/plain\r\n"
OK = response({"a": 1})
DOWN = Response(503, JSON_HEADER, b"{}")


def json_pair(primary: bytes, candidate: bytes) -> tuple[Response, Response]:
    return Response(200, JSON_HEADER, primary), Response(200, JSON_HEADER, candidate)


@pytest.mark.parametrize(
    ("primary", "candidate", "verdict", "error"),
    [
        (DOWN, DOWN, Verdict.BOTH_ERROR, "status_503"),
        (Failure("timeout"), Failure("connect"), Verdict.BOTH_ERROR, "connect"),
        (Failure("timeout"), DOWN, Verdict.BOTH_ERROR, "status_503"),
        (OK, DOWN, Verdict.CANDIDATE_ERROR, "status_503"),
        (OK, Failure("timeout"), Verdict.CANDIDATE_ERROR, "timeout"),
        (DOWN, OK, Verdict.PRIMARY_ERROR, "status_503"),
        (Failure("reset"), OK, Verdict.PRIMARY_ERROR, "reset"),
    ],
)
def test_errors_decide_before_anything_else(primary: Outcome, candidate: Outcome, verdict: Verdict, error: str) -> None:
    comparison = compare(primary, candidate, NO_RULES)
    assert (comparison.verdict, comparison.error, comparison.count) == (verdict, error, 0)


def test_which_statuses_are_errors_is_the_endpoints_choice() -> None:
    assert compare(DOWN, DOWN, rule_set(error_statuses=frozenset({500}))).verdict is Verdict.MATCH
    teapot = Response(418, b"", b"")
    assert compare(OK, teapot, rule_set(error_statuses=frozenset({418}))).verdict is Verdict.CANDIDATE_ERROR


def test_identical_answers_match_without_being_parsed() -> None:
    broken = Response(200, JSON_HEADER, b"{not json")
    assert compare(broken, Response(200, JSON_HEADER, b"{not json"), NO_RULES) is MATCH


def test_statuses_that_differ_are_a_difference_and_bodies_are_still_compared() -> None:
    comparison = compare(OK, Response(201, JSON_HEADER, b'{"a": 2}'), NO_RULES)
    assert found(comparison) == {(("status",), Kind.STATUS), (("$", "a"), Kind.VALUE)}


def test_statuses_of_one_class_are_tolerated() -> None:
    rules = rule_set(status_equal=(frozenset({200, 204}),))
    assert compare(Response(200, b"", b""), Response(204, b"", b""), rules).verdict is Verdict.TOLERATED
    assert compare(Response(200, b"", b""), Response(201, b"", b""), rules).verdict is Verdict.MISMATCH


def test_a_rule_may_ignore_the_status_if_it_may_be_broad() -> None:
    rules = rule_set(rule("status", "ignore", id="s", allow_broad=True))
    assert compare(Response(200, b"", b""), Response(204, b"", b""), rules).hits == {"s": 1}
    assert compare(Response(200, b"", b""), Response(204, b"", b""), rule_set(rule("status", "exact"))).count == 1


@pytest.mark.parametrize(
    ("primary", "candidate", "hints"),
    [
        (200, 401, (Hint.CREDENTIALS,)),
        (200, 403, (Hint.CREDENTIALS,)),
        (401, 403, ()),
        (200, 429, (Hint.RATE_LIMIT,)),
        (429, 200, ()),
        (200, 404, ()),
    ],
)
def test_hints(primary: int, candidate: int, hints: tuple[Hint, ...]) -> None:
    comparison = compare(Response(primary, b"", b""), Response(candidate, b"", b""), NO_RULES)
    assert (comparison.verdict, comparison.hints) == (Verdict.MISMATCH, hints)


def test_one_unparsable_side_is_a_difference() -> None:
    for pair in (json_pair(b"{}", b"{"), json_pair(b"", b"{}"), json_pair(b"null", b"")):
        assert found(compare(*pair, NO_RULES)) == {(("$",), Kind.PARSE)}


def test_two_unparsable_sides_are_incomparable() -> None:
    comparison = compare(*json_pair(b"{", b"["), NO_RULES)
    assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.UNPARSED_BOTH)
    assert found(compare(*json_pair(b"{", b"["), rule_set(body="text"))) == {(("$",), Kind.VALUE)}


def test_empty_body_empty_object_and_null_are_three_things() -> None:
    for one, other in ((b"", b"{}"), (b"{}", b"null"), (b"null", b"")):
        assert compare(*json_pair(one, other), NO_RULES).verdict is Verdict.MISMATCH


def test_media_types_that_differ_end_the_comparison_of_bodies() -> None:
    comparison = compare(OK, Response(200, b"content-type: text/html\r\n", b"<p>"), NO_RULES)
    assert found(comparison) == {(("header:content-type",), Kind.MEDIA)}
    assert compare(OK, Response(200, b"", OK.body), NO_RULES).differences[0].kind is Kind.MEDIA


def part(content_range: str, body: bytes) -> Response:
    ranges = [("Content-Range", content_range)] if content_range else []
    return Response.from_pairs(206, [("content-type", "application/json"), *ranges], body)


@pytest.mark.parametrize("other", ["bytes 4-7/8", "bytes 0-3/9", "bytes 0-3/*", "items 0-3/8", ""])
def test_ranges_that_differ_end_the_comparison_of_bodies(other: str) -> None:
    one, two = part("bytes 0-3/8", b"[12,"), part(other, b"34]")
    for pair in ((one, two), (two, one)):
        comparison = compare(*pair, NO_RULES)
        assert (found(comparison), comparison.reason) == ({(("header:content-range",), Kind.HEADER)}, None)


def test_bodies_of_one_range_are_compared() -> None:
    one = part("bytes 0-3/8", b"[1]")
    assert compare(one, part("bytes 0-3/8", b"[ 1]"), NO_RULES).verdict is Verdict.MATCH
    assert found(compare(one, part("bytes 0-3/8", b"[2]"), NO_RULES)) == {(("$", 0), Kind.VALUE)}


def test_a_rule_decides_whether_ranges_agree() -> None:
    one, two = part("bytes 0-2/8", b"[1]"), part("bytes 0-2/9", b"[2]")
    refused = rule_set(rule("header:content-range", "format", {"as": "uuid"}))
    assert found(compare(one, two, refused)) == {(("header:content-range",), Kind.HEADER)}
    ignored = rule_set(rule("header:content-range", "ignore", allow_broad=True))
    assert found(compare(one, two, ignored)) == {(("$", 0), Kind.VALUE)}


@pytest.mark.parametrize(("one", "other"), [(204, 204), (304, 304), (204, 304)])
def test_of_204_and_304_status_and_header_fields_are_all_there_is(one: int, other: int) -> None:
    rules = rule_set(status_equal=(frozenset({204, 304}),))
    primary, candidate = Response(one, JSON_HEADER, b"", cut=True), Response(other, JSON_HEADER, b"left over")
    assert compare(primary, candidate, rules).count == 0
    assert compare(primary, candidate, rules).reason is None
    candidate.fields += b"etag: 1\r\n"
    assert found(compare(primary, candidate, rules)) == {(("header:etag",), Kind.HEADER)}


def test_a_body_lost_by_answering_204_is_a_difference() -> None:
    rules = rule_set(status_equal=(frozenset({200, 204}),))
    assert found(compare(OK, Response(204, JSON_HEADER, b""), rules)) == {(("$",), Kind.PARSE)}
    assert found(compare(OK, Response(204, b"", b""), rules)) == {(("header:content-type",), Kind.MEDIA)}


def test_answers_to_head_differ_by_status_and_header_fields_only() -> None:
    def head(fields: bytes) -> Response:
        return Response(200, JSON_HEADER + fields, b"")

    assert compare(head(b"content-length: 9\r\n"), head(b"content-length: 12\r\n"), NO_RULES).verdict is Verdict.MATCH
    comparison = compare(head(b"content-encoding: gzip\r\n"), head(b""), NO_RULES)
    assert (comparison.verdict, comparison.notes) == (Verdict.TOLERATED, (Note.CONTENT_ENCODING,))
    assert found(compare(head(b"x: 1\r\n"), head(b""), NO_RULES)) == {(("header:x",), Kind.HEADER)}


def test_a_cut_body_is_incomparable_unless_something_else_differs() -> None:
    whole, cut = OK, Response(200, JSON_HEADER, OK.body, cut=True)
    for pair in ((whole, cut), (cut, whole), (cut, cut)):
        comparison = compare(*pair, NO_RULES)
        assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.CAPTURE_CAP)
    assert compare(OK, Response(404, JSON_HEADER, b"", cut=True), NO_RULES).verdict is Verdict.MISMATCH


@pytest.mark.parametrize(
    ("primary", "candidate", "verdict"),
    [
        (b"[10000000000000000999000]", b"[10000000000000000999001]", Verdict.MISMATCH),
        (b"[18446744073709551616]", b"[18446744073709551617]", Verdict.MISMATCH),
        (b"[18446744073709551616]", b"[1.8446744073709552e19]", Verdict.TOLERATED),
        (b"[-9223372036854775809]", b"[-9223372036854775810]", Verdict.MISMATCH),
        (
            b'{"a":[{"b":18446744073709551616}],"c":[1,2]}',
            b'{"a":[{"b":18446744073709551617}],"c":[1,2]}',
            Verdict.MISMATCH,
        ),
        (b"[18446744073709551617]", b"[ 18446744073709551617]", Verdict.MATCH),
        (b"\xef\xbb\xbf[18446744073709551617]", b"[18446744073709551617]", Verdict.MATCH),
    ],
)
def test_integers_beyond_64_bits_are_exact(primary: bytes, candidate: bytes, verdict: Verdict) -> None:
    assert compare(*json_pair(primary, candidate), NO_RULES).verdict is verdict


def test_a_last_line_break_of_the_fields_makes_no_difference() -> None:
    fields = b"x: 1\r\ncontent-type: application/json"
    for one, other in ((fields, fields + b"\r\n"), (fields + b"\r\n", fields), (fields, fields)):
        assert compare(Response(200, one, b"[1]"), Response(200, other, b"[ 1]"), NO_RULES).verdict is Verdict.MATCH
    assert found(compare(Response(200, fields, b"[1]"), Response(200, fields, b"[2]"), NO_RULES)) == {
        (("$", 0), Kind.VALUE)
    }


class Captured(NamedTuple):
    """An answer with more to it than is compared."""

    status: int
    seconds: float
    fields: bytes
    body: bytes
    cut: bool


def test_any_object_with_the_parts_of_an_answer_is_compared() -> None:
    captured = Captured(200, 0.5, JSON_HEADER, b'{"a": 1}', cut=False)
    assert compare(captured, OK, NO_RULES).verdict is Verdict.MATCH
    assert compare(captured, captured._replace(cut=True), NO_RULES).reason is Reason.CAPTURE_CAP


def test_the_first_reason_for_not_finishing_stays() -> None:
    ledger = Ledger(50)
    ledger.stop(Reason.CAPTURE_CAP)
    ledger.stop(Reason.DEPTH)
    assert ledger.close().reason is Reason.CAPTURE_CAP


def test_json_beyond_the_standard_is_read_with_a_note() -> None:
    comparison = compare(*json_pair(b"[NaN, Infinity, 1e400]", b"[NaN,Infinity,1e400]"), NO_RULES)
    assert (comparison.verdict, comparison.notes) == (Verdict.MATCH, (Note.NONSTANDARD,))


@pytest.mark.parametrize("use", ["exact", "numeric"])
@pytest.mark.parametrize("other", [b"[1e401]", b"[Infinity]", b"[1.5]", b"[-1e400]"])
def test_a_number_beyond_any_float_equals_no_other(use: str, other: bytes) -> None:
    settings = {"rel": 1e-6} if use == "numeric" else {}
    rules = compile_rules([Rule("r", "$[*]", use, settings, reason="noise", author="us")])
    assert compare(*json_pair(b"[1e400]", other), rules).verdict is Verdict.MISMATCH


def test_nesting_beyond_any_parser_is_incomparable() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    comparison = compare(*json_pair(deep, deep + b" "), NO_RULES)
    assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.DEPTH)
    assert compare(*json_pair(deep, b"[]"), NO_RULES).verdict is Verdict.INCOMPARABLE


def test_the_walks_budget_makes_the_pair_incomparable() -> None:
    rules = rule_set(limits=Limits(leaves=3))
    comparison = compare(response([1, [2, 3, 4]]), response([1, [2, 3, 5]]), rules)
    assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.LEAVES)
    assert compare(response([1, [2, 3, 4]]), response([0, [2, 3, 5]]), rules).verdict is Verdict.MISMATCH


def coded(plain: bytes, coding: bytes = b"gzip") -> Response:
    body = zlib.compress(plain, wbits=31 if coding == b"gzip" else 15)
    return Response(200, JSON_HEADER + b"content-encoding: " + coding + b"\r\n", body)


def test_a_content_coding_of_one_side_is_tolerated_if_the_bodies_agree() -> None:
    plain = b'{"a": [1, 2, 3]}'
    comparison = compare(coded(plain), Response(200, JSON_HEADER, plain), NO_RULES)
    assert (comparison.verdict, comparison.notes) == (Verdict.TOLERATED, (Note.CONTENT_ENCODING,))
    assert compare(coded(plain), coded(plain, b"deflate"), NO_RULES).verdict is Verdict.TOLERATED
    comparison = compare(coded(plain), Response(200, JSON_HEADER, b'{"a": []}'), NO_RULES)
    assert found(comparison) == {(("$", "a"), Kind.LENGTH), (("header:content-encoding",), Kind.HEADER)}


def test_different_compressions_of_one_body_match() -> None:
    one, other = coded(b"[1, 2]" * 1), coded(b"[1, 2]")
    other.body = zlib.compress(b"[1, 2]", 1, 31)
    assert compare(one, other, NO_RULES).verdict is Verdict.MATCH


def test_a_broken_coding_of_one_side_is_a_difference() -> None:
    fields = JSON_HEADER + b"content-encoding: gzip\r\n"
    assert found(compare(coded(b"[]"), Response(200, fields, b"not gzip"), NO_RULES)) == {(("$",), Kind.PARSE)}


def test_a_decompression_bomb_is_incomparable() -> None:
    bomb = coded(b"[" + b" " * 1_000_000 + b"1]")
    comparison = compare(bomb, coded(b"[2]"), NO_RULES)
    assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.DECODED_CAP)


def test_a_body_in_an_unknown_coding_is_compared_as_bytes() -> None:
    fields = JSON_HEADER + b"content-encoding: br\r\n"
    comparison = compare(Response(200, fields, b"abcdef"), Response(200, fields, b"abcxef"), NO_RULES)
    (difference,) = comparison.differences
    assert (difference.kind, difference.magnitude) == (Kind.DIGEST, 3)
    assert difference.primary.startswith("6 bytes, sha256 ")
    assert (
        compare(Response(200, fields, b"ab"), Response(200, JSON_HEADER, b"ab"), NO_RULES).verdict is Verdict.TOLERATED
    )


def test_text_is_compared_by_character_in_the_charset_of_each_side() -> None:
    latin = Response(200, b"content-type: text/plain; charset=latin-1\r\n", "grün".encode("latin-1"))
    utf8 = Response(200, b"content-type: text/plain; charset=UTF-8\r\n", "grün".encode())
    comparison = compare(latin, utf8, NO_RULES)
    assert (comparison.verdict, comparison.notes) == (Verdict.TOLERATED, (Note.CHARSET,))
    utf8.body += b"e"
    assert found(compare(latin, utf8, NO_RULES)) == {(("$",), Kind.VALUE), (("header:content-type",), Kind.HEADER)}


def test_text_that_neither_side_can_decode_is_incomparable() -> None:
    one, other = Response(200, TEXT_HEADER, b"\xff"), Response(200, TEXT_HEADER, b"\xfe")
    assert compare(one, other, NO_RULES).reason is Reason.CHARSET
    assert found(compare(one, Response(200, TEXT_HEADER, b"a"), NO_RULES)) == {(("$",), Kind.PARSE)}


def test_bodies_of_other_media_types_are_compared_by_digest() -> None:
    fields = b"content-type: application/octet-stream\r\n"
    assert found(compare(Response(200, fields, b"a"), Response(200, fields, b"ab"), NO_RULES)) == {
        (("$",), Kind.DIGEST)
    }
    assert compare(response({"a": 1}), response({"a": 1}, indent=1), rule_set(body="bytes")).count == 1
    one, other = Response(200, fields, b"[1]"), Response(200, fields, b"[1 ]")
    assert compare(one, other, rule_set(body="json")).verdict is Verdict.MATCH


@given(trees, st.booleans(), st.booleans(), st.sampled_from([None, 1]))
def test_spelling_of_json_changes_nothing(tree: Tree, ascii_only: bool, sort: bool, indent: int | None) -> None:  # noqa: FBT001  hypothesis passes by name
    other = response(tree, ensure_ascii=ascii_only, sort_keys=sort, indent=indent)
    assert compare(response(tree), other, NO_RULES).verdict is Verdict.MATCH


@given(plain_trees, plain_trees)
def test_comparing_answers_finds_what_walking_trees_does(primary: Tree, candidate: Tree) -> None:
    rules = rule_set(rule("$.a", "ignore"), rule("$..b", "numeric", {"rel": 0.5}), limits=unlimited())
    expected = walk(json.loads(json.dumps(primary)), json.loads(json.dumps(candidate)), rules)
    assert found(compare(response(primary), response(candidate), rules)) == found(expected)


headers = st.lists(
    st.sampled_from(
        [
            b"content-type: application/json",
            b"Content-Type: text/plain; charset=idna",
            b"content-encoding: gzip, deflate",
            b"content-encoding: br",
            b"set-cookie: a=b; expires=x; max-age=\xb2",
            b"date",
            b": ",
            b"",
            b"etag:\t1",
            b"\xff: \x00",
            b"content-type: text/html; charset=\xff",
            b"location: //",
            b" folded",
        ]
    )
    | st.binary(max_size=12),
    max_size=4,
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))
bodies = st.binary(max_size=40) | st.sampled_from([b"{}", b"[1e999]", b'"\\ud800"', zlib.compress(b"[1]", wbits=31)])
responses = st.builds(Response, st.integers(100, 999), headers | st.binary(max_size=30), bodies, st.booleans())


@given(responses, responses, st.sampled_from(["auto", "json", "text", "bytes"]))
def test_no_bytes_on_either_side_raise(primary: Response, candidate: Response, body: Any) -> None:
    rules = rule_set(rule("$..*", "format", {"as": "hex"}), rule("header:x-*", "presence"), body=body)
    comparison = compare(primary, candidate, rules)
    assert (comparison.reason is not None) is (comparison.verdict is Verdict.INCOMPARABLE)
    assert (comparison.count > 0) is (comparison.verdict is Verdict.MISMATCH)
    assert bool(comparison.differences) is (comparison.count > 0)


@given(responses)
def test_every_whole_answer_matches_itself_or_is_an_error(primary: Response) -> None:
    comparison = compare(primary, Response(primary.status, primary.fields, primary.body), NO_RULES)
    expected = {Verdict.BOTH_ERROR} if primary.status in range(500, 600) else {Verdict.MATCH}
    if primary.cut and primary.status not in (204, 304):
        expected = {Verdict.BOTH_ERROR, Verdict.INCOMPARABLE}
    assert comparison.verdict in expected
