"""Laws of every benchmark, as test classes that one from outside can inherit.

Subclass `BenchmarkContract` as `Test...` and define a fixture `name`: the registered name of the benchmark.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from experiments.analysis.formats.terminal_examples import RIGHT_FROM
from experiments.data.world.queries import ROLES
from experiments.evaluation.benchmark import BENCHMARKS, Benchmark
from experiments.evaluation.prompts import Prompt, build_prompts
from experiments.evaluation.score import score_examples
from experiments.store.columns import as_tag, from_tag
from tests.experiments.data.tiny_world import tiny_source

NONSENSE = "qwertz"  # answers no question and describes no picture
MARKS = ("<image>", "<EOC>")


class BenchmarkContract:
    """Scores are numbers of single examples, answers that are right earn more, results files hold all answers."""

    @pytest.fixture
    def benchmark(self, name: str) -> Benchmark:
        """The benchmark of the fixture `name`, which a subclass defines."""
        return BENCHMARKS.get(name)

    @pytest.fixture
    def prompts(self, benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> list[Prompt]:
        """Its prompts on the first queries of its role, or where the world has none of that on others of the kind."""
        if benchmark.role not in ROLES:
            monkeypatch.setattr(benchmark, "role", "coco" if benchmark.graded else "vqav2")
        return build_prompts(tiny_source(), benchmark.name, seed=0, shots=4)[:8]

    @pytest.fixture
    def answers(self, benchmark: Benchmark, prompts: list[Prompt]) -> list[str]:
        """To each query its first answer, as it is scored."""
        return [benchmark.scored_part(prompt.query, prompt.query.completion) for prompt in prompts]

    @pytest.fixture
    def references(self, prompts: list[Prompt]) -> list[Sequence[str]]:
        """What each answer is compared with."""
        return [prompt.query.answers for prompt in prompts]

    def test_it_has_a_column_of_its_own(self, benchmark: Benchmark) -> None:
        """Its metric is nobody else's, and a reader without its code knows its column from a run's tag."""
        metrics = [BENCHMARKS.get(other).metric for other in BENCHMARKS.names()]
        assert metrics.count(benchmark.metric) == 1
        for counts in (True, False):
            column = benchmark.column(in_overall=counts)
            assert from_tag(as_tag([column]) or "") == (column,)
        assert benchmark.ceiling > 0

    def test_it_asks_in_words(self, benchmark: Benchmark, prompts: list[Prompt]) -> None:
        """What it asks stands last in its prompt, behind the only mark that is the query's."""
        for prompt in prompts:
            asked = benchmark.asked(prompt.query)
            assert isinstance(asked, str) and not any(mark in asked for mark in MARKS)
            assert prompt.text.rpartition("<image>")[2].strip() == asked.strip()
            assert prompt.text.count("<image>") == len(prompt.media)

    def test_every_example_has_one_score(
        self, benchmark: Benchmark, answers: list[str], references: list[Sequence[str]]
    ) -> None:
        """A number from 0, 100 points of which are 1.0; of an answer that is right or wrong at most 100."""
        scores = [float(score) for score in benchmark.score(answers, references)]
        assert len(scores) == len(answers) and all(math.isfinite(score) and score >= 0 for score in scores)
        assert score_examples(benchmark.name, answers, references) == [100 * score for score in scores]
        assert benchmark.graded or max(scores) <= 1

    def test_a_right_answer_earns_more_than_none(
        self, benchmark: Benchmark, answers: list[str], references: list[Sequence[str]]
    ) -> None:
        """Its own first answer beats nonsense and silence; where answers are right or wrong, it is right."""
        right = score_examples(benchmark.name, answers, references)
        for other in (NONSENSE, ""):
            wrong = score_examples(benchmark.name, [other] * len(answers), references)
            assert all(ours > theirs for ours, theirs in zip(right, wrong, strict=True))
            assert benchmark.graded or max(wrong) < RIGHT_FROM
        assert benchmark.graded or min(right) >= RIGHT_FROM

    def test_an_answer_moves_its_own_score_alone(
        self, benchmark: Benchmark, answers: list[str], references: list[Sequence[str]]
    ) -> None:
        """Whatever is said to one example, and in whichever order they come: a bootstrap over examples asks for it."""
        before = score_examples(benchmark.name, answers, references)
        after = score_examples(benchmark.name, [NONSENSE, *answers[1:]], references)
        assert after[0] < before[0] and after[1:] == before[1:]
        turned = score_examples(benchmark.name, answers[::-1], references[::-1])
        assert turned == pytest.approx(before[::-1])

    def test_the_form_of_a_sequence_changes_nothing(
        self, benchmark: Benchmark, answers: list[str], references: list[Sequence[str]]
    ) -> None:
        """Lists as well as tuples, twice the same: it keeps no state."""
        first = score_examples(benchmark.name, answers, references)
        assert score_examples(benchmark.name, tuple(answers), [list(some) for some in references]) == first

    def test_a_results_file_holds_every_answer(
        self, benchmark: Benchmark, prompts: list[Prompt], answers: list[str], tmp_path: Path
    ) -> None:
        """JSON with each answer once beside the id of its query; without an answer none is written."""
        file = tmp_path / "results.json"
        by_query = {
            prompt.query.id: f"{text} {place}"
            for place, (prompt, text) in enumerate(zip(prompts, answers, strict=True))
        }
        benchmark.write_results(by_query, file)
        written = json.loads(file.read_bytes())
        assert len(written) == len(by_query)
        entries = written.items() if isinstance(written, dict) else [tuple(entry.values()) for entry in written]
        assert {(str(query), text) for query, text in entries} == set(by_query.items())
        with pytest.raises(ValueError, match="no answers"):
            benchmark.write_results({}, tmp_path / "none.json")
        assert not (tmp_path / "none.json").exists()
