from itertools import product, starmap
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Mode, Settings
from proxy.config.units import PARAMETER, check_template
from proxy.core.reasons import MirrorResult
from proxy.core.routing import EndpointRoute, Routes, ServiceRoute, decide, sample, without_port

BACKENDS = {
    "primary": {"version": "v1", "url": "http://127.0.0.1:9101"},
    "candidate": {"version": "v2", "url": "http://127.0.0.1:9102"},
}


def routes(*templates: str, modes: dict[str, Mode] | None = None, **service: Any) -> Routes:
    endpoints = [{"name": f"e{at}", "match": template} for at, template in enumerate(templates)]
    settings = Settings.model_validate({"services": {"ranker": {**BACKENDS, "endpoints": endpoints, **service}}})
    return Routes(settings, modes or {})


def route(*templates: str, mode: Mode = Mode.SHADOW, **service: Any) -> ServiceRoute:
    (only,) = routes(*templates, modes={"ranker": mode}, **service).services
    return only


# --- endpoints


@pytest.mark.parametrize(
    ("template", "request_line", "matches"),
    [
        ("GET /users", b"GET /users", True),
        ("GET /users", b"GET /users?x=/users/1", True),
        ("GET /users", b"GET /users/", False),
        ("GET /users", b"POST /users", False),
        ("GET /users", b"GET /Users", False),
        ("* /users", b"FOO /users", True),
        ("GET /users/{id}", b"GET /users/42", True),
        ("GET /users/{id}", b"GET /users/a%2Fb", True),
        ("GET /users/{id}", b"GET /users/", False),
        ("GET /users/{id}", b"GET /users/1/2", False),
        ("GET /users/{id}", b"GET /users/1?q", True),
        ("GET /users/{id2}", b"GET /users/42", True),
        ("GET /users/{id}", b"GET /users/\xff", True),
        ("* /users/{id}/posts/{post}", b"GET /users/1/posts/2", True),
        ("GET /files/{rest}", b"GET /files/a/b/c", True),
        ("GET /files/{rest}", b"GET /files/", True),
        ("GET /files/{rest}", b"GET /files", False),
        ("GET /a.b", b"GET /axb", False),
        ("GET /a.b/{id}", b"GET /axb/1", False),
        ("OPTIONS /x", b"OPTIONS *", False),
    ],
)
def test_a_template_matches_the_raw_path(template: str, request_line: bytes, matches: bool) -> None:  # noqa: FBT001
    method, target = request_line.split(b" ")
    assert route(template).endpoint(method, target).name == ("e0" if matches else "other")


SEGMENT = st.from_regex(PARAMETER, fullmatch=True) | st.from_regex(r"[A-Za-z0-9._~%+()*-]+", fullmatch=True)
VALUE = st.binary(min_size=1, max_size=8).filter(lambda value: b"/" not in value and b"?" not in value)


@given(segments=st.lists(SEGMENT, min_size=1, max_size=5, unique=True), data=st.data())
def test_every_accepted_template_matches_an_instance_of_itself(segments: list[str], data: st.DataObject) -> None:
    segments = sorted(segments, key="{rest}".__eq__)
    template = check_template("GET /" + "/".join(segments))
    instance = (data.draw(VALUE) if PARAMETER.fullmatch(segment) else segment.encode() for segment in segments)
    assert route(template).endpoint(b"GET", b"/" + b"/".join(instance)).name == "e0"


def test_literal_paths_come_first_then_templates_in_order() -> None:
    service = route("GET /users/{id}", "* /users/{name}", "GET /users/me", "* /users/me", "* /users/you")
    asked = [
        (b"GET", b"/users/me"),
        (b"PUT", b"/users/me"),
        (b"GET", b"/users/you"),
        (b"GET", b"/users/x"),
        (b"PUT", b"/users/x"),
    ]
    found = [service.endpoint(method, path).name for method, path in asked]
    assert found == ["e2", "e3", "e4", "e0", "e1"]


def test_everything_else_is_other_and_comes_last() -> None:
    service = route("GET /a", "GET /b")
    other = service.endpoint(b"GET", b"/c")
    assert (other.name, other.index) == ("other", 2)
    assert service.endpoints[-1] is other


# --- services

HOSTED = Settings.model_validate(
    {
        "services": {
            "named": {**BACKENDS, "hosts": ["a.example", "b.example"]},
            "any": BACKENDS,
        }
    }
)


@pytest.mark.parametrize(
    ("host", "service"),
    [
        (b"a.example", "named"), (b"A.Example", "named"), (b"b.example:8080", "named"), (b"a.example:", "named"),
        (b"c.example", "any"), (b"", "any"), (b"[::1]:80", "any"), (b"xa.example", "any"),
    ],
)  # fmt: skip
def test_a_host_leads_to_its_service(host: bytes, service: str) -> None:
    found = Routes(HOSTED, {}).service(host)
    assert found is not None
    assert found.name == service


def test_without_a_service_for_every_host_others_lead_nowhere() -> None:
    found = routes(hosts=["a.example"])
    assert found.service(b"b.example") is None
    assert found.service(b"") is None


def test_modes_in_force_win_over_the_configured_ones() -> None:
    assert route(mode=Mode.PRIMARY).mode is Mode.PRIMARY
    (configured,) = routes(mode="primary").services
    assert configured.mode is Mode.PRIMARY


@pytest.mark.parametrize(
    ("host", "name"),
    [(b"a:80", b"a"), (b"a", b"a"), (b"a:", b"a"), (b"[::1]", b"[::1]"), (b"[::1]:80", b"[::1]"), (b"", b"")],
)
def test_a_host_without_its_port(host: bytes, name: bytes) -> None:
    assert without_port(host) == name


# --- decide


class Row(NamedTuple):
    mode: Mode
    method: bytes
    read_only: bool
    mirror: bool
    is_copy: bool
    draining: bool
    share: float

    @property
    def expected(self) -> MirrorResult:
        """The first of the reasons that holds, written apart from the code."""
        reasons = (
            (self.mode is not Mode.SHADOW, MirrorResult.MODE),
            (self.is_copy, MirrorResult.LOOP),
            (not self.mirror, MirrorResult.ENDPOINT_OFF),
            (self.method == b"POST" and not self.read_only, MirrorResult.METHOD),
            (self.share <= DRAW, MirrorResult.NOT_SAMPLED),
            (self.draining, MirrorResult.DRAINING),
        )
        return next((reason for holds, reason in reasons if holds), MirrorResult.MIRRORED)


DRAW = 0.5
BOTH = (False, True)


@pytest.mark.parametrize("mode", Mode)
def test_every_combination_has_exactly_its_reason(mode: Mode) -> None:
    for row in starmap(Row, product((mode,), (b"GET", b"POST"), BOTH, BOTH, BOTH, BOTH, (0.0, DRAW, 1.0))):
        service = route(mode=mode, mirror={"share": row.share})
        endpoint = EndpointRoute("e", 0, read_only=row.read_only, mirror=row.mirror)
        found = decide(service, endpoint, row.method, is_copy=row.is_copy, draining=row.draining, draw=DRAW)
        assert found is row.expected, row


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_safe_methods_are_mirrored_unless_configured_otherwise(method: bytes) -> None:
    endpoint = EndpointRoute("e", 0)
    assert decide(route(), endpoint, method, is_copy=False, draining=False, draw=0.0) is MirrorResult.MIRRORED
    only_post = route(mirror={"methods": ["POST"]})
    assert decide(only_post, endpoint, method, is_copy=False, draining=False, draw=0.0) is MirrorResult.METHOD
    assert decide(only_post, endpoint, b"POST", is_copy=False, draining=False, draw=0.0) is MirrorResult.MIRRORED


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"FOO"])
def test_what_may_write_is_never_mirrored_by_default(method: bytes) -> None:
    found = decide(route(), EndpointRoute("e", 0), method, is_copy=False, draining=False, draw=0.0)
    assert found is MirrorResult.METHOD


# --- sampling


@pytest.mark.parametrize("percent", [0, 1, 50, 99, 100])
@pytest.mark.parametrize("start", [0, 1, 12_345])
def test_a_share_of_the_requests_is_that_share(percent: int, start: int) -> None:
    service = route(mirror={"share": percent / 100})
    endpoint = EndpointRoute("e", 0)
    results = [
        decide(service, endpoint, b"GET", is_copy=False, draining=False, draw=sample(start + n)) for n in range(10_000)
    ]
    mirrored = results.count(MirrorResult.MIRRORED)
    assert abs(mirrored - percent * 100) <= (0 if percent in {0, 100} else 5)


@given(st.integers(0, 2**62))
def test_a_draw_is_in_range(sequence: int) -> None:
    assert 0.0 <= sample(sequence) < 1.0


@given(st.integers(0, 10**9), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_request_sampled_at_a_share_is_sampled_at_every_larger_one(sequence: int, one: float, other: float) -> None:
    draw = sample(sequence)
    assert (draw < min(one, other)) <= (draw < max(one, other))
