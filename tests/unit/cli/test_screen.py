import pytest
from rich.text import Text

from proxy.cli.screen import Screen


def test_ascii_replaces_every_sign_and_keeps_the_styles() -> None:
    text = Screen(ascii_only=True).text(Text.assemble(("a → b", "bold"), "  … ✅ ❌", ("÷", "red")))
    assert text.plain == "a -> b  ... ok FAIL/"
    assert [(span.start, span.end, span.style) for span in text.spans] == [(0, 6, "bold"), (19, 20, "red")]


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().prose("word " * 60)
    Screen().line("word " * 60)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_terminal_gets_lines_broken_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    Screen().prose("f.yaml:1:1  error  " + "word " * 20)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("f.yaml:1:1  error")
    assert all(line.startswith("    word") and len(line) <= 40 for line in rest)


def test_no_color_means_no_escapes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    Screen().line(Text("error", "red"))
    assert "\x1b[31m" not in capsys.readouterr().out
