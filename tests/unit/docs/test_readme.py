import re
from pathlib import Path

from proxy.config.load import load

README = (Path(__file__).parents[3] / "README.md").read_text()


def test_configuration_in_the_readme_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.+?)```", README, re.DOTALL)
    (tmp_path / "shadow-proxy.yaml").write_text(block)
    loaded = load(tmp_path / "shadow-proxy.yaml", environ={})
    assert list(loaded.settings.services) == ["ranker"]
    assert loaded.warnings == []
