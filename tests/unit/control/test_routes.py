import pytest

from proxy.control.api.problems import Problem
from proxy.control.api.routes import ROUTES, Access, find

TABLE = [
    ("GET", "/healthz", Access.HEALTH),
    ("GET", "/readyz", Access.HEALTH),
    ("GET", "/metrics", Access.METRICS),
    ("GET", "/api/v1/status", Access.READ),
    ("GET", "/api/v1/services/ranker", Access.READ),
    ("PUT", "/api/v1/services/ranker/mode", Access.CHANGE),
    ("POST", "/api/v1/config/reload", Access.CHANGE),
    ("GET", "/api/v1/audit", Access.STORED),
    *[
        (method, f"{prefix}/{call}", access)
        for prefix in ("/admin", "/api/v2/admin", "/api/admin")
        for method, call, access in [
            ("GET", "flags", Access.READ),
            ("POST", "flags", Access.CHANGE),
            ("POST", "enable-shadow-mode", Access.CHANGE),
        ]
    ],
]


@pytest.mark.parametrize(("method", "path", "access"), TABLE)
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_table_is_exactly_this(method: str, path: str, access: Access, slash: str) -> None:
    route, taken = find(method, path + slash)
    assert route.access is access
    assert taken in ({}, {"service": "ranker"})
    assert len(ROUTES) == len(TABLE)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "//healthz",
        "/healthz//",
        "/Healthz",
        "/healthzz",
        "/healthz/x",
        "/admin",
        "/admin/flagsx",
        "/admin/%66lags",
        "/admin/../admin/flags",
        "/admin/./flags",
        "/api/v1/services//mode",
        "/api/v1/services/",
        "/metrics%2f",
        "http://127.0.0.1/healthz",
        "/api/v3/admin/flags",
        "/admin;x/flags",
        "/admin/flags?x",
        "/admin\\flags",
    ],
)
def test_look_alikes_are_nothing(path: str) -> None:
    with pytest.raises(Problem) as refused:
        find("GET", path)
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/admin/enable-shadow-mode", "POST"),
        ("HEAD", "/admin/enable-shadow-mode", "POST"),
        ("GET", "/api/v1/services/ranker/mode", "PUT"),
        ("POST", "/api/v1/services/ranker/mode", "PUT"),
        ("DELETE", "/admin/flags", "GET, HEAD, POST"),
        ("OPTIONS", "/admin/flags", "GET, HEAD, POST"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
def test_other_methods_are_told_which_are_allowed(method: str, path: str, allow: str) -> None:
    with pytest.raises(Problem) as refused:
        find(method, path)
    assert (refused.value.status, refused.value.fields["Allow"]) == (405, allow)


def test_head_is_get() -> None:
    assert find("HEAD", "/healthz") == find("GET", "/healthz")


@pytest.mark.parametrize(
    ("access", "on_loopback", "elsewhere", "with_open_metrics"),
    [
        (Access.HEALTH, False, False, False),
        (Access.METRICS, False, True, False),
        (Access.READ, False, True, True),
        (Access.STORED, True, True, True),
        (Access.CHANGE, True, True, True),
    ],
)
def test_who_needs_the_token(access: Access, *, on_loopback: bool, elsewhere: bool, with_open_metrics: bool) -> None:
    assert access.needs_token(loopback=True, open_metrics=False) is on_loopback
    assert access.needs_token(loopback=False, open_metrics=False) is elsewhere
    assert access.needs_token(loopback=False, open_metrics=True) is with_open_metrics


def test_only_changes_have_changing_methods() -> None:
    assert all((route.method == "GET") is (route.access is not Access.CHANGE) for route in ROUTES)
