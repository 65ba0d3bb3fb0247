"""The fixtures every test may ask for do what they say: seen by running small tests in a pytest of their own."""

import asyncio

import pytest
import uvloop

pytest_plugins = ["pytester"]

OPTIONS = ("-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
CONFTEST = "from tests.conftest import any_loop, no_blocking, pytest_asyncio_loop_factories"
IN_THE_TEST = "import time\nasync def test_it({fixtures}): time.sleep(0)"
IN_A_CALLBACK = """
import asyncio, time
async def test_it({fixtures}):
    asyncio.get_running_loop().call_soon(time.sleep, 0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
"""
ERROR_IN_A_CALLBACK = IN_A_CALLBACK.replace("time.sleep, 0", "int, 'x'")


async def test_any_loop_gives_the_running_loop(
    any_loop: asyncio.AbstractEventLoop, request: pytest.FixtureRequest
) -> None:
    assert any_loop is asyncio.get_running_loop()
    assert isinstance(any_loop, uvloop.Loop) is ("uvloop" in request.node.name)


async def test_test_that_does_not_ask_runs_once_on_asyncio(request: pytest.FixtureRequest) -> None:
    assert "[" not in request.node.name
    assert not isinstance(asyncio.get_running_loop(), uvloop.Loop)


@pytest.mark.parametrize(
    ("code", "fixtures", "passed", "failed"),
    [
        (IN_THE_TEST, "any_loop", 2, 0),
        (IN_THE_TEST, "any_loop, no_blocking", 0, 2),
        (IN_A_CALLBACK, "any_loop", 2, 0),
    ],
    ids=["unwatched", "in the test", "unwatched callback"],
)
def test_no_blocking_fails_a_blocking_test_on_every_loop(
    pytester: pytest.Pytester, code: str, fixtures: str, passed: int, failed: int
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(code.format(fixtures=fixtures))
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=passed, failed=failed)


def test_no_blocking_sees_callbacks_whose_errors_the_loop_would_only_log(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(IN_A_CALLBACK.format(fixtures="any_loop, no_blocking"))
    result = pytester.runpytest_inprocess(*OPTIONS)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*blocking calls in callbacks of the loop: *time.sleep*"])


def test_no_blocking_leaves_other_errors_to_the_loop(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(ERROR_IN_A_CALLBACK.format(fixtures="no_blocking"))
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=1)
