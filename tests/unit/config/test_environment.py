import pytest

from proxy.config.environment import environment_layer


def said(**environ: str) -> list[str]:
    return [str(problem) for problem in environment_layer(environ, ["my-ranker"]).problems]


def tree(**environ: str) -> dict[str, object]:
    layer = environment_layer(environ, ["my-ranker"])
    assert layer.problems == []
    return layer.tree


def test_names_of_services_are_matched_in_any_case_and_with_dashes() -> None:
    assert tree(SHADOW_PROXY_SERVICES__MY_RANKER__CANDIDATE__URL="http://b") == {
        "services": {"my-ranker": {"candidate": {"url": "http://b"}}}
    }


def test_a_service_the_file_does_not_have_is_made_in_lower_case() -> None:
    assert tree(SHADOW_PROXY_SERVICES__OTHER__MODE="primary") == {"services": {"other": {"mode": "primary"}}}


def test_lists_and_mappings_are_given_whole_as_json() -> None:
    assert tree(SHADOW_PROXY_SERVICES__MY_RANKER__HOSTS='["a.example", "b.example"]') == {
        "services": {"my-ranker": {"hosts": ["a.example", "b.example"]}}
    }


def test_a_deeper_variable_beats_a_mapping_given_whole() -> None:
    layer = tree(SHADOW_PROXY_POOL='{"wait": "2s", "idle": "1s"}', SHADOW_PROXY_POOL__WAIT="3s")
    assert layer == {"pool": {"wait": "3s", "idle": "1s"}}


def test_plain_values_stay_text() -> None:
    assert tree(SHADOW_PROXY_SERVICES__A__PRIMARY__VERSION="1.10") == {
        "services": {"a": {"primary": {"version": "1.10"}}}
    }


def test_the_token_is_no_setting_and_never_said() -> None:
    assert tree(SHADOW_PROXY_ADMIN_TOKEN="sesame") == {}
    assert said(SHADOW_PROXY_ADMIN__TOKEN="sesame") == [
        'SHADOW_PROXY_ADMIN__TOKEN  error  no such setting, did you mean "SHADOW_PROXY_ADMIN__TOKEN_FILE"?'
    ]


@pytest.mark.parametrize(
    "variable",
    ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR"],
)
def test_what_orchestrators_set_for_a_service_of_our_name_is_left_alone(variable: str) -> None:
    assert tree(**{f"SHADOW_PROXY_{variable}": "tcp://10.0.0.1:8080"}) == {}


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SHADOW_PROXY_LISTNE", "SHADOW_PROXY_LISTEN"),
        ("SHADOW_PROXY_ADMIN_LISTEN", "SHADOW_PROXY_ADMIN__LISTEN"),
        ("SHADOW_PROXY_LIMITS__HEADER_BYTE", "SHADOW_PROXY_LIMITS__HEADER_BYTES"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_right_one(variable: str, meant: str) -> None:
    assert said(**{variable: "1"}) == [f'{variable}  error  no such setting, did you mean "{meant}"?']


def test_parts_of_a_plain_value_are_an_error() -> None:
    assert "SHADOW_PROXY_LISTEN has no parts" in said(SHADOW_PROXY_LISTEN__PORT="1")[0]


def test_broken_json_is_an_error_with_its_column() -> None:
    (message,) = said(SHADOW_PROXY_SERVICES__MY_RANKER__HOSTS="[a")
    assert message.startswith("SHADOW_PROXY_SERVICES__MY_RANKER__HOSTS  error  services.my-ranker.hosts: column ")
