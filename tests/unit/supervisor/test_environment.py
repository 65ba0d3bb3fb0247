from proxy.config.models import Settings
from proxy.supervisor.environment import inherited
from tests.unit.control.settings import settings


def test_nothing_of_ours_is_inherited() -> None:
    given = {"PATH": "/bin", "SHADOW_PROXY_ADMIN_TOKEN": "x", "shadow_proxy_services__a__b": "y", "SHADOW": "z"}
    assert inherited(given, settings()) == {"PATH": "/bin", "SHADOW": "z"}


def test_no_variable_that_a_setting_was_read_from_is_inherited() -> None:
    add = {"X-Api-Key": {"env": "KEY"}, "X-Other": "HOME", "X-File": {"file": "LANG"}}
    found = Settings.model_validate(
        {
            "services": {
                "a": {
                    "primary": {"version": "v1", "url": "http://a"},
                    "candidate": {"version": "v2", "url": "http://b", "headers": {"add": add}},
                }
            }
        }
    )
    assert inherited({"KEY": "s3cr3t", "HOME": "/h", "LANG": "C"}, found) == {"HOME": "/h", "LANG": "C"}
