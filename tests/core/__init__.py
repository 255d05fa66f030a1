import pytest

# Laws that other test files take over: they are no test modules, but say as much when they fail.
pytest.register_assert_rewrite("tests.core.component_contract", "tests.core.contracts")
