"""All findings of preflight in one report: lines for the journal, a file for machines, Markdown for people."""

import html
from collections.abc import Iterator
from typing import Final

from medu1.errors import Stop
from medu1.question import Frozen
from medu1.run.finding import Finding, State

NAME: Final = "preflight.json"
PAGE: Final = "preflight.md"
ORDER: Final[tuple[State, ...]] = ("failed", "unknown", "passed")
SAID: Final = {"failed": "failed", "unknown": "warning", "passed": "passed"}


class Report(Frozen):
    """What the checks of one run found."""

    run: str
    findings: tuple[Finding, ...]

    def of(self, state: State) -> tuple[Finding, ...]:
        """The findings of one state."""
        return tuple(finding for finding in self.findings if finding.state == state)

    def lines(self) -> Iterator[str]:
        """One line for all that passed, one for each of the others."""
        passed = self.of("passed")
        yield f"{len(passed)} of {len(self.findings)} checks passed: {', '.join(each.name for each in passed)}"
        for state in ("failed", "unknown"):
            yield from (f"{SAID[state]}: {finding}" for finding in self.of(state))

    def refusal(self) -> Stop | None:
        """Every failure with its next step, in one paragraph; None where there is none."""
        failed = self.of("failed")
        if not failed:
            return None
        count = "1 check fails" if len(failed) == 1 else f"{len(failed)} checks fail"
        told = " ".join(f"({number}) {finding}" for number, finding in enumerate(failed, start=1))
        return Stop(f"{count}, and nothing was started.", told, "Mend that and run again.")

    def markdown(self) -> str:
        """A table, the worst first; what others said is shown as text, whatever it holds."""
        ordered = sorted(self.findings, key=lambda finding: ORDER.index(finding.state))
        rows = [
            f"| {SAID[each.state]} | {_cell(each.name)} | {_cell(each.seen)} | {_cell(each.next_step)} |"
            for each in ordered
        ]
        head = [f"# Preflight of run {_cell(self.run)}", "", "| | check | seen | next step |", "|---|---|---|---|"]
        return "\n".join([*head, *rows, ""])


def _cell(words: str) -> str:
    """As text in a cell: no HTML, no link, no emphasis, no further cell."""
    return "".join(f"&#{ord(each)};" if each in "\\`*_{}[]()#+!|~" else each for each in html.escape(words))
