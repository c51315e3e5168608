"""What the last generation looked like: rewards, right answers and groups by family, and completions to read.

Metric names are stable: `train/correct/<family>`, `train/format`, `train/unscorable`, `train/no_answer`,
`train/groups/{all_right,all_wrong,mixed}`, `train/tokens/{right,wrong}` and, where prompts ask for a length,
`train/length_closeness`; counts are shares of the completions.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from medu1.scoring.verdict import Reason
from medu1.train.rewards import Judged

UNREADABLE = frozenset({Reason.NO_ANSWER, Reason.EMPTY_ANSWER, Reason.TRUNCATED})


class Telemetry:
    """The verdicts of the newest generation, in groups of one prompt."""

    def __init__(self) -> None:
        self.newest: list[Judged] = []
        self.groups: list[list[Judged]] = []

    def record(self, batch: Sequence[Judged], group_size: int) -> None:
        """Keep a generation. Asserts that every group is one prompt, which GRPO's advantages rest on."""
        self.newest = list(batch)
        self.groups = [self.newest[start : start + group_size] for start in range(0, len(batch), group_size)]
        for group in self.groups:
            assert len({each.question.id for each in group}) == 1, "a group holds completions of several prompts"

    def metrics(self) -> dict[str, float]:
        """The newest generation in figures; a share that has no rows is left out."""
        if not self.newest:
            return {}
        shares: dict[str, Sequence[float]] = {
            "train/format": [each.verdict.format_ok for each in self.newest],
            "train/unscorable": [each.verdict.correct is None for each in self.newest],
            "train/no_answer": [each.verdict.reason in UNREADABLE for each in self.newest],
            "train/truncated": [each.completion.finish == "length" for each in self.newest],
            "train/length_closeness": [each.verdict.length for each in self.newest if each.verdict.length is not None],
            "train/tokens/right": [each.completion.tokens or 0 for each in self.newest if each.verdict.correct],
            "train/tokens/wrong": [each.completion.tokens or 0 for each in self.newest if not each.verdict.correct],
        }
        for family in sorted({each.question.family for each in self.newest}):
            shares[f"train/correct/{family}"] = [
                bool(each.verdict.correct) for each in self.newest if each.question.family == family
            ]
        means = {name: fmean(values) for name, values in shares.items() if values}
        return means | {f"train/groups/{name}": share for name, share in self._groups().items()}

    def _groups(self) -> dict[str, float]:
        """Groups whose answers are all right, all wrong, or mixed: only the mixed ones teach."""
        right = [fmean(bool(each.verdict.correct) for each in group) for group in self.groups]
        shares = {"all_right": right.count(1.0) / len(right), "all_wrong": right.count(0.0) / len(right)}
        return shares | {"mixed": 1 - sum(shares.values())}

    def table(self, rows: int) -> Mapping[str, Sequence[object]]:
        """The newest completions by column, with what each earned and why."""
        shown = self.newest[:rows]
        return {
            "question": [each.question.text for each in shown],
            "completion": [each.completion.text for each in shown],
            "reward": [each.reward for each in shown],
            "correct": [each.verdict.correct for each in shown],
            "format": [each.verdict.format_ok for each in shown],
            "reason": [each.verdict.reason.value for each in shown],
            "tokens": [each.completion.tokens for each in shown],
        }
