from docs import configuration


def test_reference_page_is_what_the_models_say() -> None:
    assert configuration.PAGE.read_text() == configuration.page(), "run: python docs/configuration.py"


def test_page_says_value_default_and_meaning_of_a_key() -> None:
    row = "| `drain` | duration | `30s` | How long answers in flight may take after SIGTERM. |"
    assert row in configuration.page()


def test_sizes_are_spelled_in_their_largest_whole_unit() -> None:
    spelled = [configuration.spelled(size, "size") for size in (0, 512, 1536, 64 << 10, 3 << 20)]
    assert spelled == ["0", "512B", "1536B", "64KiB", "3MiB"]
