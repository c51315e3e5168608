"""Reading and making records of a Kubeflow Pipelines API, each made once even where an answer is lost.

The API has no keys against doing a thing twice, and names of runs need not differ. So what makes a run looks first at
the ids that its name has already, and where an answer is lost looks again before it asks again; where two are there in
the end (a late effect, or two callers at once), both callers keep the older one. Pipelines, versions and experiments
have unique names: who is told that a name exists reads it.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from medu1.errors import Stop
from pipelines.access import Access
from pipelines.answers import Answer, Page, Recurring, Run
from pipelines.wire import Patience, Refused, Unanswered, Wire

PAGE: Final = "100"
ATTEMPTS: Final = 3  # at making a thing whose answer was lost

A = TypeVar("A", bound=Answer)
Made = TypeVar("Made", Run, Recurring)


class Api:
    """One API in one caller's name."""

    def __init__(self, access: Access, patience: Patience) -> None:
        self.access = access
        self.wire = Wire(access, patience)

    def named(self, path: str, key: str, name: str, kind: type[A], make: Callable[[], object]) -> A:
        """What has a unique name, made where it is not there; who is second reads what the first one made."""
        for pause in (*self.wire.patience.pauses, None):
            if found := self.first(path, key, name, kind):
                return found
            try:
                make()
            except Unanswered:
                if pause is None:
                    raise
                time.sleep(pause)
            except Refused as refused:
                if refused.status != 409 or pause is None:
                    raise
        if found := self.first(path, key, name, kind):
            return found
        raise Stop(f"{self.access.url} made {name} and does not list it.", next_step="Run the same command again.")

    def first(self, path: str, key: str, name: str, kind: type[A]) -> A | None:
        """What has a name; None where nothing has."""
        where = {} if path.endswith("/versions") else self.where()
        return next(self.entries(path, kind, {**where, "filter": equals(key, name)}), None)

    def once(self, look: Callable[[], list[Made]], make: Callable[[], Made], undo: Callable[[Made], None]) -> Made:
        """Make one, whatever answer is lost: see the module's docstring."""
        before = {each.id for each in look()}

        def made() -> list[Made]:
            new = [each for each in look() if each.id not in before]
            return sorted(new, key=lambda each: (each.created, each.id))

        for _ in range(ATTEMPTS):
            try:
                mine = make()
            except Unanswered as error:
                lost = error
                time.sleep(self.wire.patience.pauses[0])
            else:
                return self._settled(mine, made, undo)
            if found := made():
                return self._settled(found[0], made, undo)
        raise lost

    def _settled(self, mine: Made, made: Callable[[], list[Made]], undo: Callable[[Made], None]) -> Made:
        """The oldest of those that were made just now. It is there: a look that fails does not undo that."""
        with suppress(Unanswered):
            found = made()
            for extra in found[1:]:
                undo(extra)
            return found[0] if found else mine
        return mine

    def entries(self, path: str, kind: type[A], query: Mapping[str, str]) -> Iterator[A]:
        """Every entry, page after page."""
        token = ""
        while True:
            asked = {**query, "page_size": PAGE, **({"page_token": token} if token else {})}
            page = self.read(Page, self.wire.get(path, asked))
            yield from (self.read(kind, each) for each in page.items)
            if not page.next_page_token or page.next_page_token == token:
                return
            token = page.next_page_token

    def read(self, kind: type[A], answer: Mapping[str, Any]) -> A:
        """An answer as what it should be. Raises Stop where it is something else."""
        try:
            return kind.model_validate(answer)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise Stop(
                f"{self.access.url} answered with something else than a {kind.__name__.lower()}: {where}.",
                next_step="Check that --endpoint is a Kubeflow Pipelines API of version 2.",
            ) from None

    def where(self) -> dict[str, str]:
        """The namespace, for requests that name one."""
        return {"namespace": self.access.namespace} if self.access.namespace else {}


def equals(key: str, value: str) -> str:
    """A filter as kfp.Client writes it."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "stringValue": value}]})
