"""Settings to test control with."""

from typing import Any

from proxy.config.models import Settings


def service(mode: str = "shadow", *, primary: str = "http://127.0.0.1:9101", **more: Any) -> dict[str, Any]:
    return {
        "mode": mode,
        "primary": {"version": "v1", "url": primary},
        "candidate": {"version": "v2", "url": "http://127.0.0.1:9102"},
        "endpoints": [{"name": "score", "match": "POST /v2/score", "read_only": True}],
        **more,
    }


def settings(*names: str, mode: str = "shadow", **more: Any) -> Settings:
    """Services of these names (default: `ranker`), each with its own host when there are several."""
    names = names or ("ranker",)
    hosts = {name: (f"{name}.example",) if len(names) > 1 else () for name in names}
    return Settings.model_validate({"services": {name: service(mode, hosts=hosts[name]) for name in names}, **more})
