import os
from pathlib import Path

import pytest

from proxy.config.flags import Flags
from proxy.config.load import Loaded, load
from proxy.config.models import Mode, Settings
from proxy.config.problems import ConfigError
from proxy.config.units import Address, Origin
from tests.unit.config.writing import MINIMAL, write


def errors(folder: Path, text: str | bytes, flags: Flags | None = None, **environ: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as refused:
        load(path, flags, environ)
    return [str(problem).removeprefix(f"{path}:") for problem in refused.value.problems]


def loaded(folder: Path, text: str = MINIMAL, flags: Flags | None = None, **environ: str) -> Loaded:
    return load(write(folder, text), flags, environ)


def test_every_error_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = errors(
        tmp_path,
        """\
        listne: "127.0.0.1:8080"
        header_bytes: 5
        workers: 100
        services:
          ranker:
            mode: canary
            primary: {version: 1.10, url: "http://127.0.0.1:8000/api"}
            candidate: {version: v2, ulr: "http://127.0.0.1:8001"}
            mirror: {share: 1.5, in_flight: yes, methods: GET, deadline: 0s}
            endpoints: [{name: "a b", match: "POST"}]
            rules: [{id: r1, path: "$.a", use: numeric}]
        """,
    )
    service = "services.ranker"
    assert found == [
        '1:1  error  listne: unknown key, did you mean "listen"?',
        "2:1  error  header_bytes: unknown key: it belongs at limits.header_bytes",
        "3:10  error  workers: 100 is over 64",
        f"6:11  error  {service}.mode: must be primary or shadow: canary is reached by a rollout, not configured",
        f'7:24  error  {service}.primary.version: must be text: write it in quotes, "1.10"',
        (
            f"7:35  error  {service}.primary.url: a backend url has no path, query or fragment: "
            "the client's own target is forwarded"
        ),
        f'8:30  error  {service}.candidate.ulr: unknown key, did you mean "url"?',
        f"9:21  error  {service}.mirror.share: 1.5 is over 1",
        f"9:37  error  {service}.mirror.in_flight: must be a whole number, not 'yes'",
        f"9:51  error  {service}.mirror.methods: must be a list, such as [a, b], not 'GET'",
        f"9:66  error  {service}.mirror.deadline: 0s is not over 0",
        (
            f"10:24  error  {service}.endpoints[0].name: 'a b' is not a name: "
            "use up to 63 letters, digits, dots, dashes, underscores"
        ),
        f"10:38  error  {service}.endpoints[0].match: 'POST' is not METHOD /path, such as GET /users/{{id}}",
        f"11:13  error  {service}.rules[0]: give at least one of abs, rel, mean_below, max_below",
        f"11:13  error  {service}.rules[0].author: is required: say who accepted the difference",
        f"11:13  error  {service}.rules[0].reason: is required: say why the difference is accepted",
    ]


def test_no_message_is_the_validators_own(tmp_path: Path) -> None:
    wrong = "\n".join(f"{key}: [{{}}]" for key in Settings.model_fields)
    for said in errors(tmp_path, wrong):
        assert "Input should" not in said
        assert "pydantic" not in said


def test_settings_that_contradict_each_other_are_errors_at_their_own_lines(tmp_path: Path) -> None:
    found = errors(
        tmp_path,
        """\
        services:
          ranker:
            primary: {version: v1, url: "http://127.0.0.1:8001"}
            candidate: {version: v1, url: "http://127.0.0.1:8001"}
            endpoints:
              - {name: a, match: "GET /a"}
              - {name: a, match: "GET /b"}
            rules:
              - {id: r1, endpoint: b, path: "$.a", use: ignore, reason: r, author: o}
        """,
    )
    assert found == [
        "4:26  error  services.ranker.candidate.version: 'v1' is the primary's too: name them apart",
        "4:35  error  services.ranker.candidate.url: is the primary's url too: nothing would be compared",
        "7:16  error  services.ranker.endpoints[1].name: 'a' is used twice: endpoints need their own names",
        "9:28  error  services.ranker.rules[0].endpoint: 'b' is not an endpoint here: a",
    ]


def test_contradictions_are_said_beside_what_cannot_be_read(tmp_path: Path) -> None:
    """Each wrong value is next to something it must not hide, nor be the cause of a second error about it."""
    found = errors(
        tmp_path,
        """\
        listen: "127.0.0.1:9001"
        admin: {listen: "0.0.0.0:8081", hosts: [a b]}
        default_service: rankr
        workers: many
        services:
          ranker:
            hosts: [r.example, "r example"]
            primary: {version: v1, ulr: "http://127.0.0.1:8001"}
            candidate: {version: v1, url: "http://127.0.0.1:9001"}
            endpoints:
              - {name: a, match: "/a"}
              - {name: a, match: "GET /b"}
              - {name: "a b", match: "GET /c"}
            rules:
              - {id: r1, endpoint: b, path: "$.a[-1]", use: numerc, author: o}
              - {id: r1, path: "$.a", use: ignore}
              - {id: r3, path: "$.a", rel: 1e-6, reason: r, author: o}
          one: {primary: {version: v1, url: "http://a"}, candidate: {version: v2, url: "http://b"}}
          two: {primary: {version: v1, url: "http://a"}, candidate: {version: v2, url: "http://a"}}
        """,
    )
    assert [(said.partition("  error  ")[0], said.split("  error  ")[1].partition(": ")[0]) for said in found] == [
        ("2:17", "admin.listen"),
        ("2:41", "admin.hosts[0]"),
        ("3:18", "default_service"),
        ("4:10", "workers"),
        ("7:24", "services.ranker.hosts[1]"),
        ("8:28", "services.ranker.primary.ulr"),
        ("9:26", "services.ranker.candidate.version"),
        ("9:35", "services.ranker.candidate.url"),
        ("11:26", "services.ranker.endpoints[0].match"),
        ("12:16", "services.ranker.endpoints[1].name"),
        ("13:16", "services.ranker.endpoints[2].name"),
        ("15:9", "services.ranker.rules[0].reason"),
        ("15:37", "services.ranker.rules[0].path"),
        ("15:53", "services.ranker.rules[0].use"),
        ("16:9", "services.ranker.rules[1].author"),
        ("16:9", "services.ranker.rules[1].reason"),
        ("16:14", "services.ranker.rules[1].id"),
        ("17:9", "services.ranker.rules[2].use"),
        ("19:3", "services.two.hosts"),
        ("19:80", "services.two.candidate.url"),
    ]


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:8001", "0.0.0.0:8001", "localhost:8001"], ids=["same", "wildcard", "name"]
)
def test_a_backend_that_is_this_proxy_is_refused(tmp_path: Path, listen: str) -> None:
    found = errors(tmp_path, f'listen: "{listen}"\n{MINIMAL}')
    assert found == ["4:33  error  services.ranker.primary.url: http://127.0.0.1:8001 is this proxy itself"]


def test_two_services_cannot_claim_one_host(tmp_path: Path) -> None:
    second = MINIMAL.replace("services:\n", "").replace("ranker", "other").replace("800", "900")
    found = errors(tmp_path, MINIMAL + second)
    assert found == ["5:3  error  services.other.hosts: 'ranker' already claims every host: give each its own hosts"]


def test_rules_that_do_not_compile_are_errors_with_their_line(tmp_path: Path) -> None:
    found = errors(
        tmp_path,
        MINIMAL
        + """\
    rules:
      - {id: r1, path: "$.a[-1]", use: numeric, rel: 1e-6, reason: r, author: o}
      - {id: r2, path: "$.a", use: numerc, reason: r, author: o}
      - {id: r3, path: "$.a", use: numeric, rle: 1, reason: r, author: o}
      - {id: r4, path: "$..*", use: ignore, reason: r, author: o}
    workers: 1
""",
    )
    places = [said.partition("  error  ")[::2] for said in found]
    assert [(place, message.partition(":")[0]) for place, message in places] == [
        ("6:24", "services.ranker.rules[0].path"),
        ("7:36", "services.ranker.rules[1].use"),
        ("8:50", "services.ranker.rules[2].rle"),
        ("9:9", "services.ranker.rules[3]"),
        ("10:5", "services.ranker.workers"),
    ]


def test_both_spellings_of_a_small_number_are_numbers(tmp_path: Path) -> None:
    rule = "{{id: r{0}, path: '$.a', use: numeric, rel: {1}, reason: r, author: o}}"
    rules = ", ".join(rule.format(index, text) for index, text in enumerate(["1e-6", "1.0e-6"]))
    service = loaded(tmp_path, f"{MINIMAL}    rules: [{rules}]\n").settings.services["ranker"]
    assert [rule.settings for rule in service.rules] == [{"rel": 1e-6}, {"rel": 1e-6}]


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    text = f"listen: '127.0.0.1:1'\nworkers: 2\nlog_format: json\n{MINIMAL}"
    environ = {"SHADOW_PROXY_LISTEN": "127.0.0.1:2", "SHADOW_PROXY_WORKERS": "3"}
    found = load(write(tmp_path, text), Flags(listen="127.0.0.1:3"), environ)
    settings = found.settings
    assert (settings.listen.port, settings.workers, settings.log_format) == (3, 3, "json")
    origins = {path: origin for path, _, origin in found.origins()}
    assert origins["listen"] == "--listen"
    assert origins["workers"] == "SHADOW_PROXY_WORKERS"
    assert origins["log_format"].endswith("shadow-proxy.yaml:3:13")
    assert origins["limits.header_bytes"] == "default"


def test_two_urls_alone_make_a_service(tmp_path: Path) -> None:
    found = load(None, Flags(primary="http://a.example", candidate="http://b.example"), {})
    service = found.settings.services["default"]
    assert (service.primary.version, service.candidate.version) == ("v1", "v2")
    assert service.mode is Mode.SHADOW
    assert service.endpoints == ()
    assert found.warnings == []
    del tmp_path


def test_nothing_configured_says_how_to_configure() -> None:
    with pytest.raises(ConfigError, match="services: no service is configured: give --primary URL"):
        load(None, None, {})


def test_url_flags_change_the_only_service_and_keep_its_version(tmp_path: Path) -> None:
    service = loaded(tmp_path, flags=Flags(candidate="http://b.example")).settings.services["ranker"]
    assert service.candidate.version == "v2"
    assert service.candidate.url == Origin("http", "b.example", 80)


def test_url_flags_beside_several_services_ask_which(tmp_path: Path) -> None:
    second = MINIMAL.replace("services:\n", "").replace("ranker", "other").replace("800", "900")
    found = errors(tmp_path, MINIMAL + second + "    hosts: [o.example]\n", Flags(primary="http://a.example"))
    assert found == [
        "--primary  error  which service is meant: ranker, other? Set default_service, or the url in the file"
    ]


def test_the_mode_flag_is_for_every_service(tmp_path: Path) -> None:
    assert loaded(tmp_path, flags=Flags(mode="primary")).settings.services["ranker"].mode is Mode.PRIMARY


def test_a_wrong_flag_is_named(tmp_path: Path) -> None:
    assert errors(tmp_path, MINIMAL, Flags(listen="8080", mode="shadwo")) == [
        "--listen  error  listen: '8080' is not an address; write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080",
        "--mode  error  services.ranker.mode: must be primary or shadow, not 'shadwo', did you mean \"shadow\"?",
    ]


def test_exposing_the_admin_port_needs_a_token_and_a_word(tmp_path: Path) -> None:
    exposed = f"admin: {{listen: '0.0.0.0:8081'}}\n{MINIMAL}"
    assert errors(tmp_path, exposed) == [
        (
            "1:17  error  admin.listen: others can reach 0.0.0.0:8081: that needs a token (admin.token_file or "
            "SHADOW_PROXY_ADMIN_TOKEN) and admin.insecure_bind: true; or listen on 127.0.0.1"
        )
    ]
    assert "insecure_bind" in errors(tmp_path, exposed, SHADOW_PROXY_ADMIN_TOKEN="t")[0]
    assert "a token" in errors(tmp_path, exposed, SHADOW_PROXY_ADMIN__INSECURE_BIND="true")[0]
    both = {"SHADOW_PROXY_ADMIN_TOKEN": "t", "SHADOW_PROXY_ADMIN__INSECURE_BIND": "true"}
    found = load(write(tmp_path, exposed), None, both)
    assert found.settings.admin.listen == Address("0.0.0.0", 8081)
    assert ["can be reached by others" in str(warning) for warning in found.warnings] == [True]


def test_writes_not_marked_read_only_are_warned_about(tmp_path: Path) -> None:
    text = MINIMAL + "    endpoints: [{name: score, match: 'POST /score'}, {name: item, match: 'GET /i'}]\n"
    (warning,) = loaded(tmp_path, text).warnings
    assert str(warning).endswith(
        "5:17  warning  services.ranker.endpoints[0]: POST /score is not mirrored until marked read_only: true"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"- 1\n", "1:1  error  a configuration is a mapping"),
        (b"a: [\n", "error  "),
        (b"\xff", "1:1  error  byte 0xff is not UTF-8"),
        (b"", "error  services: no service is configured"),
    ],
    ids=["list", "broken", "latin", "empty"],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    assert message in errors(tmp_path, text)[0]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory: check the path, or write one with"):
        load(tmp_path / "none.yaml", None, {})
    with pytest.raises(ConfigError, match="Is a directory: check the path"):
        load(tmp_path, None, {})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe  error  Is not a plain file: check the path"):
        load(tmp_path / "pipe", None, {})


def test_loaded_settings_survive_the_trip_to_another_process(tmp_path: Path) -> None:
    settings = loaded(tmp_path).settings
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
