from proxy.config.models import Settings
from proxy.worker.roster import without_secrets

SECRET = "s3cr3t"


def test_a_judge_is_told_everything_but_the_credentials_of_backends() -> None:
    def backend(number: int) -> dict[str, object]:
        return {"version": f"v{number}", "url": f"http://127.0.0.1:{number}", "timeout": "7s"}

    add = {"headers": {"add": {"X-Api-Key": SECRET}, "remove": ["Cookie"]}}
    both = {"primary": backend(1) | add, "candidate": backend(2) | add}
    rest = {
        "endpoints": [{"name": "score", "match": "POST /score", "error_statuses": [429]}],
        "rules": [{"id": "r", "path": "$.id", "use": "ignore", "reason": "random", "author": "me"}],
        "mirror": {"headers": {"remove": ["Cookie"]}},
    }
    told = without_secrets(Settings.model_validate({"services": {"a": both | rest}}))
    assert SECRET.encode() not in told
    plain = {"primary": backend(1), "candidate": backend(2)}
    assert Settings.model_validate_json(told) == Settings.model_validate({"services": {"a": plain | rest}})
