import pytest

pytest.register_assert_rewrite("tests.wire.forms", "tests.wire.rig")  # so that a failure shows both byte strings
