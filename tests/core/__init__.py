import pytest

pytest.register_assert_rewrite("tests.core.contracts")  # its laws are no test module, but say as much when they fail
