from pathlib import Path

import pytest
import yaml

from bench.load import templates
from bench.load.contestants import AIOHTTP_MIRROR, DIFFY_STYLE, ENVOY, NGINX, RECIPES, SHADOW_PROXY, Recipe, Setting

SHARES = (0.0, 0.01, 1.0)


@pytest.mark.parametrize("share", SHARES)
def test_nginx_is_told_the_share_by_sampling_copies(share: float) -> None:
    words = RECIPES[NGINX].words(Setting(share))
    assert words["mirror"] == ("/.copy" if share else "off")
    assert words["sampling"] == ('split_clients "$request_id" $copied { 1.00% 1; * 0; }' if share == 0.01 else "")
    assert bool(words["skipping"]) == (share == 0.01)


@pytest.mark.parametrize("share", SHARES)
def test_envoy_is_told_the_share_as_a_runtime_fraction(share: float) -> None:
    mirror = yaml.safe_load(RECIPES[ENVOY].words(Setting(share))["mirror"])
    if not share:
        assert mirror is None
        return
    (policy,) = mirror["request_mirror_policies"]
    fraction = policy["runtime_fraction"]["default_value"]
    assert fraction == {"numerator": share * 10_000, "denominator": "TEN_THOUSAND"}


@pytest.mark.parametrize(("share", "mode", "written"), [(0.0, "primary", "0"), (0.01, "shadow", "0.01")])
def test_the_proxy_is_told_mode_and_share(share: float, mode: str, written: str) -> None:
    assert RECIPES[SHADOW_PROXY].words(Setting(share)) == {"mode": mode, "share": written}


def test_what_multiplies_every_request_refuses_a_share_and_nothing_else() -> None:
    assert RECIPES[DIFFY_STYLE].refusal(Setting(workers=2)) is None
    assert "has no share" in (RECIPES[DIFFY_STYLE].refusal(Setting(0.01)) or "")
    assert RECIPES[AIOHTTP_MIRROR].refusal(Setting(0.0)) is None


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_place_of_a_configuration_is_filled(recipe: Recipe, tmp_path: Path) -> None:
    if recipe.template is None:
        return
    places = {"port": 1, "admin": 2, "primary": 3, "candidate": 4, "workers": 2} | recipe.words(Setting(0.01, 2))
    written = templates.fill(recipe.template, tmp_path, name=recipe.name, **places)
    assert "@" not in written.read_text().replace("@type", "")
