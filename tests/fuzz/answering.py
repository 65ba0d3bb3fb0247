"""From the primary to the client: what was answered is what arrived, or a clean error, or a cut that shows."""

import re

from tests.fuzz.backend import Seen
from tests.fuzz.case import Ending, Move, When
from tests.fuzz.conversation import Played
from tests.fuzz.meaning import difference_of_answers
from tests.fuzz.reading import SWITCHING, Answer, Answers, Finding, Requests, answers_received
from tests.fuzz.serving import Served, begun
from tests.fuzz.worth import Worth, ends_badly, repaired, worth_of
from tests.kit.framing import RawRequest, RawResponse

TOKEN = re.compile(rb"<r[0-9]+>")
_OURS = re.compile(rb"shadow-proxy; error=")


def read_answers(played: Played, meant: Requests) -> Answers:
    """The client's bytes as answers. To a last request that was none, one has a body, unless it began as HEAD."""
    methods = [request.method for request in meant.whole]
    answers = answers_received(played.received, [*methods, b"GET"], reset=played.reset)
    if meant.rest.lstrip(b"\r\n").startswith(b"HEAD ") and not (answers.found and answers.found[-1].whole):
        return answers_received(played.received, [*methods, b"HEAD"], reset=played.reset)
    return answers


def check_answers(played: Played, meant: Requests, answers: Answers, served: dict[int, Served]) -> None:
    """Each answer is to its own request. Raises Finding."""
    found = answers.found
    is_tunnel = bool(found) and found[-1].final.status == SWITCHING
    if not is_tunnel and answers.rest and len(found) == len(meant.whole) + 1 and found[-1].whole:
        raise Finding("more answers than requests", answers.rest)
    requests = [*meant.whole, *begun(meant)]
    for place, answer in enumerate(found):
        own = served.get(place)
        if own is not None:
            _check_answer(played, requests[place], answer, own)
        elif not _is_ours(answer):
            raise Finding("an answer to nothing", answer.final)
        if place + 1 < len(found) and _says_close(answer.final):
            raise Finding("an answer behind the last one", found[place + 1].final)
    if not played.left and not played.case.moves & {Move.STALL, Move.WAIT_LONG}:
        _check_all_answered(played, meant, found)
    last = len(found) - 1
    if found and _says_close(found[-1].final) and any(place > last for place in served):
        raise Finding("a request forwarded behind a refused one", max(served))


def _check_all_answered(played: Played, meant: Requests, found: list[Answer]) -> None:
    was_last = played.reset or (bool(found) and (_says_close(found[-1].final) or not found[-1].whole))
    if len(found) < len(meant.whole) and not was_last:
        raise Finding("a request without an answer", f"{len(found)} answers to {len(meant.whole)} requests")


def _says_close(response: RawResponse) -> bool:
    return b"close" in response.values(b"connection")


def _is_ours(answer: Answer) -> bool:
    final = answer.final
    is_options = final.status == 200 and bool(final.values(b"allow")) and final.values(b"content-length") == [b"0"]
    return is_options or any(_OURS.search(value) for value in final.values(b"proxy-status"))


def _check_answer(played: Played, request: RawRequest, answer: Answer, own: Served) -> None:
    seen = own.seen
    if own.surplus_before:
        return
    others = {token for other in played.primary.seen if other is not seen for token in TOKEN.findall(other.reply.data)}
    tokens = set(TOKEN.findall(b"\n".join([*answer.final.lines, answer.final.body])))
    foreign = tokens & others - set(TOKEN.findall(seen.reply.data))
    if foreign:
        raise Finding("bytes of another answer", f"{foreign} in {answer.final.raw!r}")
    worth = worth_of(seen.reply.data, request.method, seen.reply.ending)
    if _is_ours(answer):
        if worth.whole and _must_be_relayed(played, worth, seen):
            raise Finding("a good answer was not relayed", f"{seen.reply!r} became {answer.final.raw!r}")
        return
    if worth.final is None:
        raise Finding("an answer made of nothing", f"{seen.reply!r} became {answer.final.raw!r}")
    if answer.whole and not worth.whole:
        raise Finding("a cut answer looks complete", f"{seen.reply!r} became {answer.final.raw!r}")
    if not answer.whole:
        may_be_cut = played.left or Move.STALL in played.case.moves or not _must_be_relayed(played, worth, seen)
        if worth.whole and not may_be_cut:
            raise Finding("a good answer was cut", f"{seen.reply!r} became {answer.final!r}")
        return
    difference = difference_of_answers(worth.final, answer.final, request)
    if difference:
        raise Finding(f"relayed what was not meant ({difference.split(':')[0]})", f"{difference} for {seen.reply!r}")
    _check_interim(worth, answer, request)


def _check_interim(worth: Worth, answer: Answer, request: RawRequest) -> None:
    wanted = [] if request.start_line.endswith(b"HTTP/1.0") else worth.interim
    if [r.status for r in answer.interim] != [r.status for r in wanted]:
        raise Finding("interim answers differ", f"wanted {wanted}, found {answer.interim}")
    for one, other in zip(wanted, answer.interim, strict=True):
        if difference := difference_of_answers(one, other, request):
            raise Finding(f"relayed an interim answer that was not meant ({difference.split(':')[0]})", difference)


def _must_be_relayed(played: Played, worth: Worth, seen: Seen) -> bool:
    """Whether an answer is beyond doubt: no limit could refuse it, no time could run out, nothing was repaired."""
    assert worth.final is not None
    usual = played.case.setting in {"usual", "forwarded off", "read only"}
    in_time = seen.reply.when is not When.LATE or not played.case.moves & {Move.WAIT, Move.WAIT_LONG}
    is_strict = repaired(seen.reply.data) == seen.reply.data
    odd = worth.final.status == SWITCHING or len(worth.interim) > 16 or len(worth.final.lines) > 256
    before = [other for other in played.primary.seen if other.wire is seen.wire and other is not seen]
    early = seen.end < 0 or seen.reply.when is When.HEAD or seen.reply.ending is Ending.RST
    return usual and in_time and is_strict and not (odd or early or worth.interim or any(map(ends_badly, before)))
