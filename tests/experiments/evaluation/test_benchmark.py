"""The benchmarks: every built-in one keeps the contract, and what cannot be one is refused when it is registered."""

import json

import pytest

from experiments.evaluation.benchmark import BENCHMARKS, Benchmark, published, register
from experiments.evaluation.config import default_benchmarks
from experiments.published import table3
from tests.experiments.evaluation.benchmark_contract import BenchmarkContract

BUILT_IN = [name for name in BENCHMARKS.names() if BENCHMARKS.built_in(name)]


class TestBuiltIn(BenchmarkContract):
    """Each by being there."""

    @pytest.fixture(params=BUILT_IN)
    def name(self, request: pytest.FixtureRequest) -> str:
        """One name after the other."""
        return request.param


def test_the_published_table_s_are_the_default_in_its_order() -> None:
    """Their metrics are the columns of the table; none of them asks for the queries of another."""
    assert default_benchmarks() == ["coco", "okvqa", "vqav2", "msvdqa", "vatex"]
    assert tuple(one.metric for one in published()) == table3.COLUMNS
    assert {one.metric: one.ceiling for one in published()} == table3.CEILINGS
    assert [one.role for one in published()] == default_benchmarks()


ANSWERS = {"391895": "a man", "test/coco/1": "two dogs", "007": "a spy"}
RESULTS = {
    "coco": [
        {"image_id": 391895, "caption": "a man"},
        {"image_id": "test/coco/1", "caption": "two dogs"},
        {"image_id": "007", "caption": "a spy"},
    ],
    "vatex": ANSWERS,
    **{
        name: [
            {"question_id": 391895, "answer": "a man"},
            {"question_id": "test/coco/1", "answer": "two dogs"},
            {"question_id": "007", "answer": "a spy"},
        ]
        for name in ("okvqa", "vqav2", "msvdqa")
    },
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_as_the_official_tools_read_them(name: str, tmp_path) -> None:
    """COCO's and VQA's take numbers for ids, where an id is one, and VATEX's a mapping of video ids."""
    BENCHMARKS.get(name).write_results(ANSWERS, tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_bytes()) == RESULTS[name]


def a_benchmark(**attributes: object) -> type[Benchmark]:
    """A class that scores everything 1.0, with these attributes beside or instead of its own."""
    said = {"metric": "mine_top1", "label": "Mine", "measure": "top1", "__module__": "my.module", **attributes}
    said.setdefault("score", lambda self, answers, references: [1.0] * len(answers))
    return type("Mine", (Benchmark,), {key: value for key, value in said.items() if value is not None})


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered meanwhile is forgotten afterwards."""
    BENCHMARKS.names()
    for kept in ("_entries", "_modules"):
        monkeypatch.setattr(BENCHMARKS, kept, dict(getattr(BENCHMARKS, kept)))


@pytest.mark.parametrize(
    ("name", "attributes", "said"),
    [
        ("coco", {}, r"benchmark `coco` is registered twice: by experiments\.evaluation\.benchmarks\.coco, by my\.mod"),
        ("mine", {"metric": "coco_cider"}, "its metric `coco_cider` is that of `coco`"),
        ("mine", {"metric": None}, "`metric` is `None`; allowed: one word"),
        ("mine", {"metric": "mine top1"}, "`metric` is `mine top1`; allowed: one word"),
        ("mine", {"metric": "../etc"}, "allowed: one word"),
        ("mine", {"metric": "overall"}, "allowed: no name that a run stores something else under"),
        ("mine", {"metric": "step_time_s"}, "allowed: no name that a run stores something else under"),
        ("mine", {"metric": "seed"}, "allowed: no name that a run stores something else under"),
        ("mine", {"metric": "run_id"}, "allowed: no name that a run stores something else under"),
        ("mine", {"metric": "params_b"}, "allowed: no name that a run stores something else under"),
        ("mine", {"metric": "blind_coco_cider"}, "allowed: no name that a run stores something else under"),
        ("mine", {"metric": "coco_cider_low"}, "allowed: no name that a run stores something else under"),
        ("mine", {"label": ""}, "`label` is ``; allowed: a text of 1 to"),
        ("mine", {"label": "L" * 60}, "allowed: a text of 1 to"),
        ("mine", {"label": "\x1b[2Jred"}, "allowed: a text of 1 to"),
        ("mine", {"measure": None}, "`measure` is `None`"),
        ("mine", {"graded": "yes"}, "`graded` is `yes`; allowed: true, false"),
        ("my-own", {}, "`name` is `my-own`; allowed: one word"),
        ("mine", {"score": Benchmark.score}, "abstract"),
    ],
)
def test_what_cannot_be_a_column_is_refused(forgotten, name, attributes, said) -> None:
    """When it is registered, by name and with what is allowed; nothing is registered then."""
    before = BENCHMARKS.names()
    with pytest.raises(ValueError, match=said):
        register(name)(a_benchmark(**attributes))
    assert BENCHMARKS.names() == before


def test_two_from_outside_may_share_a_role_and_no_metric(forgotten) -> None:
    """One set of queries may be scored in several ways."""
    register("mine")(a_benchmark(role="vqav2"))
    register("other")(a_benchmark(role="vqav2", metric="other_top1"))
    assert BENCHMARKS.get("mine").role == BENCHMARKS.get("other").role == "vqav2"
    with pytest.raises(ValueError, match="its metric `mine_top1` is that of `mine`"):
        register("third")(a_benchmark(role="vqav2"))
