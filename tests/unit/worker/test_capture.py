import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from proxy.worker.budget import ByteBudget
from proxy.worker.capture import Capture


@given(st.lists(st.binary(max_size=20), max_size=10), st.integers(0, 60))
def test_what_is_kept_is_the_beginning_up_to_the_cap(pieces: list[bytes], cap: int) -> None:
    budget = ByteBudget(1000)
    capture = Capture(budget, cap)
    assert all(capture.take(piece, 0) for piece in pieces)
    whole = b"".join(pieces)
    assert capture.body() == whole[:cap]
    assert capture.is_cut == (len(whole) > cap)
    assert budget.used == capture.held == len(capture.body())


def test_fields_count_against_the_budget_but_not_against_the_cap() -> None:
    budget = ByteBudget(1000)
    capture = Capture(budget, 4)
    assert capture.take(b"body", 100)
    assert not capture.is_cut
    assert budget.used == capture.held == 104


def test_an_exhausted_budget_keeps_nothing_more() -> None:
    budget = ByteBudget(10)
    capture = Capture(budget, 100)
    assert capture.take(b"12345678", 0)
    assert not capture.take(b"9abc", 0)
    assert capture.body() == b"12345678"
    assert budget.used == 8


def test_releasing_gives_everything_back_once() -> None:
    budget = ByteBudget(100)
    capture = Capture(budget, 100)
    capture.take(b"body", 10)
    capture.release()
    capture.release()
    assert budget.used == 0
    assert capture.body() == b""


def test_what_comes_after_the_cap_leaves_no_trace() -> None:
    capture = Capture(ByteBudget(100), 10)
    capture.take(b"begin", 0)
    capture.take(b" and end", 0)
    kept = capture._kept
    assert all(capture.take(b"more", 0) for _ in range(1000))
    assert capture._kept is kept
    assert kept == b"begin and "


def test_small_pieces_take_little_more_memory_than_is_counted() -> None:
    budget = ByteBudget(1 << 20)
    capture = Capture(budget, 1 << 20)
    tracemalloc.start()
    for number in range(20_000):
        capture.take(number.to_bytes(2), 0)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert budget.used == 40_000
    assert held < 2 * budget.used


def test_an_answer_in_one_piece_is_kept_without_a_copy() -> None:
    capture = Capture(ByteBudget(100), 100)
    whole = b"the whole answer"
    capture.take(whole, 0)
    assert capture.body() is whole
