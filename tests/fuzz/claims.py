"""What must hold of everything that was seen in a case; the first thing that does not is raised as a Finding.

The chain of reading: what the client meant (`requests_meant`) → what the primary saw of it (`serving`) → what the
primary's reply was worth (`worth`) → what the client got (`answering`). Each arrow is checked with the two readers
of `reading`; neither is the proxy's.
"""

import re
from dataclasses import replace
from itertools import zip_longest

from proxy.ipc.pairs import Side
from tests.fuzz.answering import check_answers, read_answers
from tests.fuzz.backend import PROBED, Seen
from tests.fuzz.case import Case, Ending, Move, When, setting
from tests.fuzz.conversation import Played, play
from tests.fuzz.meaning import Rules, difference_of_copies
from tests.fuzz.reading import SWITCHING, Answers, Finding, Requests, answers_received, requests_meant
from tests.fuzz.serving import check_requests, received
from tests.fuzz.worth import ends_badly, is_poison, worth_of

_BEHIND_101 = re.compile(rb"HTTP/1\.1 101.*?\r?\n\r?\n", re.DOTALL)
_DATE = re.compile(rb"\r\nDate: [^\r]*GMT(?=\r\n)")


def found_in(case: Case) -> Finding | None:
    """What is wrong with a case, if anything is. A crash, of the proxy or of a reader, counts too."""
    try:
        check(case)
    except Finding as finding:
        return finding
    except Exception as error:  # noqa: BLE001  see the docstring
        return Finding(f"crash ({type(error).__name__})", error)
    return None


def check(case: Case) -> Played:
    """Play a case and check it. Raises Finding."""
    played = play(case)
    check_played(played)
    _check_any_split(played)
    return played


def check_played(played: Played) -> None:
    """Check what was seen. Raises Finding."""
    meant = requests_meant(played.case.sent)
    answers = read_answers(played, meant)
    tunnel = len(answers.found) - 1 if answers.found and answers.found[-1].final.status == SWITCHING else None
    if tunnel is not None:
        meant = Requests(meant.whole[: tunnel + 1], meant.ends[: tunnel + 1])
    served = check_requests(played, meant)
    check_answers(played, meant, answers, served)
    if tunnel is not None:
        _check_tunnel(played, meant, answers, served[tunnel].seen)
    _check_no_tunnel(played)
    _check_copies(played)
    _check_probes(played)
    if not any(map(is_poison, [*played.primary.seen, *played.candidate.seen])):
        _check_pairs(played)
    _check_counts(played, answers)


# --- tunnels


def _check_tunnel(played: Played, meant: Requests, answers: Answers, seen: Seen) -> None:
    """Behind a 101 both sides get what the other one sent, from its beginning and without a gap."""
    up = bytes(seen.wire.received[seen.end :])
    sent = played.case.sent[meant.ends[-1] :]
    down = _BEHIND_101.split(seen.reply.data, maxsplit=1)[1]
    if not sent.startswith(up) or not down.startswith(answers.rest):
        raise Finding("a tunnel changed bytes", f"{sent!r} became {up!r}, {down!r} became {answers.rest!r}")
    ended = seen.reply.ending is not Ending.KEEP or bool(played.case.moves)
    if not ended and (up != sent or down != answers.rest):
        raise Finding("a tunnel lost bytes", f"{sent!r} became {up!r}, {down!r} became {answers.rest!r}")


def _check_no_tunnel(played: Played) -> None:
    """A 101 that did not reach the client opens nothing."""
    if b"HTTP/1.1 101" not in played.received:
        for wire, start in played.primary.tunnels.items():
            if wire.received[start:]:
                raise Finding("bytes behind a 101 that the client never got", bytes(wire.received))


# --- the same for any split


def _check_any_split(played: Played) -> None:
    """The client gets the same whatever the pieces it sent; where time or an early end plays a part it may not."""
    case = played.case
    replies = (*case.replies, *case.copies)
    timeless = not case.moves and all(r.when is When.COMPLETE and r.ending is Ending.KEEP for r in replies)
    if len(case.client) < 2 or not timeless or any(is_poison(seen) for seen in played.primary.seen):
        return
    whole = play(replace(case, client=(case.sent,)))
    one, other = (_DATE.sub(b"", got) for got in (whole.received, played.received))
    if one != other and not _both_are_ours(one, other):
        raise Finding("it matters how bytes were split", f"whole: {one!r}, split: {other!r}")


def _both_are_ours(one: bytes, other: bytes) -> bool:
    """Whether the first answers that differ are both our own: to a head at once, or to the body that came with it."""
    for answer, answer_too in zip_longest(one.split(b"HTTP/1.1 "), other.split(b"HTTP/1.1 "), fillvalue=b""):
        if answer != answer_too:
            return all(
                b"\r\nProxy-Status: shadow-proxy" in ours or b"\r\nAllow: " in ours for ours in (answer, answer_too)
            )
    return True


# --- the mirror, and afterwards


def _check_copies(played: Played) -> None:
    """The candidate saw some of the served requests, byte-identical but for what a copy may differ in."""
    served = list(received(played.primary).values())
    may_be_unserved = played.case.setting == "few" or any(ends_badly(seen) for seen in played.primary.seen)
    rules = Rules.of(setting(played.case.setting))
    for copy in received(played.candidate).values():
        differences = [difference_of_copies(request, copy, rules) for request in served]
        if "" in differences:
            served.pop(differences.index(""))
        elif not may_be_unserved:
            raise Finding("a copy of nothing", f"{copy.raw!r} among {[request.raw for request in served]!r}")


def _check_probes(played: Played) -> None:
    """Whoever else comes is served well; where one connection has to do, it may have to wait too long."""
    if played.case.setting == "few" or any(is_poison(seen) for seen in played.primary.seen):
        return
    (sound,) = answers_received(PROBED, [b"GET"], reset=False).found
    for got in played.probed:
        probe = answers_received(got, [b"GET"], reset=False)
        if probe.rest or not probe.found or probe.found[0].final.body != sound.final.body:
            raise Finding("another client is not served", got)


def _check_pairs(played: Played) -> None:
    """What is compared is what was answered to the same request, by the one and by the other."""
    for pair in played.pairs:
        if pair.primary.failure is None and pair.candidate.failure is None:
            served = [seen for seen in played.primary.seen if _is_worth(seen, pair.primary)]
            copies = [seen for seen in played.candidate.seen if _is_worth(seen, pair.candidate)]
            if not any((one.method, one.target) == (other.method, other.target) for one in served for other in copies):
                raise Finding("a pair of what does not belong together", pair)


def _is_worth(seen: Seen, side: Side) -> bool:
    final = worth_of(seen.reply.data, seen.method, seen.reply.ending).final
    return final is not None and final.status == side.status and final.body == side.body


def _check_counts(played: Played, answers: Answers) -> None:
    """Every answer, and the probes', was counted: as a request, or as refused, or as both if a body was refused."""
    uncertain = played.left or played.reset or Move.STALL in played.case.moves
    if played.requests < 0 or uncertain:
        return
    given = len(answers.found) + len(played.probed)
    if not played.requests <= given <= played.requests + played.refused:
        raise Finding(
            "answers were not counted", f"{given} answers, {played.requests} requests, {played.refused} refused"
        )
