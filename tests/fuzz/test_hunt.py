"""The search itself: a part of it in every run of the tests, and whether it finds what it is for."""

import re
from collections.abc import Callable

import pytest

from proxy.http import body, fields, request_head, response_head
from proxy.http.body import ChunkedBody, LengthBody
from proxy.http.fields import LINES, Field, Special
from proxy.http.response_head import ResponseHead
from tests.fuzz.case import SETTINGS, Case, Ending, Move, Reply, When, setting
from tests.fuzz.casting import cast
from tests.fuzz.claims import found_in
from tests.fuzz.hunt import SEED, cases, main, report
from tests.fuzz.reduction import reduced

BATCH = 250


@pytest.mark.parametrize("batch", range(8))
def test_nothing_is_found_in_the_first_cases_of_the_kept_seed(batch: int) -> None:
    chosen = cases(SEED, batch * BATCH)
    for _ in range(BATCH):
        seed, case = next(chosen)
        finding = found_in(case)
        assert finding is None, report(seed, case, finding)


def test_a_seed_makes_the_same_case_every_time() -> None:
    assert cast("any/1") == cast("any/1") != cast("any/2")


@pytest.mark.parametrize("number", range(20))
def test_a_case_is_its_own_source(number: int) -> None:
    names = {"Case": Case, "Ending": Ending, "Move": Move, "Reply": Reply, "When": When}
    case = cast(f"source/{number}")
    assert eval(repr(case), names) == case


def test_settings_differ() -> None:
    assert len({repr(setting(name)) for name in SETTINGS}) == len(SETTINGS)


# --- planted bugs: what the search would be worth without them nobody would know

Plant = Callable[[pytest.MonkeyPatch], None]


def _both_lengths_pass(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(request_head._READ, Special.CONTENT_LENGTH, lambda *_: None)


def _chunks_may_end_in_lf(patch: pytest.MonkeyPatch) -> None:
    feed = ChunkedBody.feed
    patch.setattr(ChunkedBody, "feed", lambda self, data: feed(self, re.sub(rb"(?<!\r)\n", b"\r\n", data)))


def _sizes_may_have_a_sign(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(body, "_SIZE", re.compile(body._SIZE.pattern.replace(b"(", b"\\+?(", 1)))


def _a_length_is_one_too_long(patch: pytest.MonkeyPatch) -> None:
    begin = LengthBody.__init__
    patch.setattr(LengthBody, "__init__", lambda self, length: begin(self, length - (length > 3)))


def _a_304_has_a_body(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("proxy.http.backend_connection.BODILESS", (204,))


def _nominated_fields_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(request_head, "nominated_lines", lambda *_: [])


def _controls_pass_in_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fields, "_FIELD_LINE", re.compile(fields._FIELD_LINE.pattern.replace(b"\\t\\x20", b"\\t\\x0b\\x20")))


def _answers_may_have_two_lengths(patch: pytest.MonkeyPatch) -> None:
    def take_the_last(head: ResponseHead, field: Field, _removed: list[bytes]) -> bool:
        head.length = field.number
        return True

    patch.setitem(response_head._READ, Special.CONTENT_LENGTH, take_the_last)


PLANTED: dict[str, Plant] = {
    plant.__name__.strip("_").replace("_", " "): plant
    for plant in (
        _both_lengths_pass,
        _chunks_may_end_in_lf,
        _sizes_may_have_a_sign,
        _a_length_is_one_too_long,
        _a_304_has_a_body,
        _nominated_fields_stay,
        _controls_pass_in_values,
        _answers_may_have_two_lengths,
    )
}


@pytest.mark.interpreted
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    LINES.forget()
    PLANTED[name](monkeypatch)
    chosen = cases(SEED)
    for _ in range(3_000):
        _, case = next(chosen)
        finding = found_in(case)
        if finding is not None:
            break
    else:
        pytest.fail("not found")


@pytest.mark.interpreted
def test_a_finding_is_printed_as_a_named_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _nominated_fields_stay(monkeypatch)
    monkeypatch.setattr("tests.fuzz.hunt.MOST_FINDINGS", 1)
    assert main(["--seed", SEED]) == 1
    said = capsys.readouterr().out
    assert re.search(r"\n'forwarded what was not meant \(fields\)': Case\(.*\),\n", said)
    assert f"# seed {SEED}/" in said


def test_nothing_found_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", SEED, "--minutes", "0"]) == 0
    assert capsys.readouterr().out == f"1 cases, 0 findings, seed {SEED}\n"


def test_a_case_is_made_small() -> None:
    case = cast("small/1")
    case = Case((*case.client, b"needle", Move.WAIT, b"more"), case.replies, case.copies, "few")
    assert reduced(case, lambda smaller: b"needle" in smaller.sent) == Case((b"needle",))
