"""Settings with one service, and its empty counters."""

from proxy.config.models import Settings
from proxy.worker.stats import ServiceStats

SETTINGS = Settings.model_validate(
    {
        "services": {
            "ranker": {
                "primary": {"version": "v1", "url": "http://127.0.0.1:9101"},
                "candidate": {"version": "v2", "url": "http://127.0.0.1:9102"},
                "endpoints": [{"name": "score", "match": "POST /score", "read_only": True}],
            }
        }
    }
)


def service_stats() -> ServiceStats:
    return ServiceStats.of("ranker", SETTINGS.services["ranker"], ("score", "other"))
