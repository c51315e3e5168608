"""The user may do in the registry what `register` does: make versions and entries of the log, move aliases.

Asked by doing, since what guards a server (MLflow's own accounts, a proxy before it) differs, and a right that a list
grants may still be refused. What is done leaves nothing: a tag named by the run is set and taken off again; where the
registered model is not there yet, another is made under a name of this run's own and deleted. So two runs at once never
touch the same thing. A database without a server has no users, and is not asked.
"""

from medu1.promotions import log_of
from medu1.run.asked import Asked
from medu1.run.finding import Check, Checks
from medu1.tracking import Tracking, refused


def checks(asked: Asked) -> Checks:
    """Of the registered model, and of the log of who is champion."""
    name, tracking = asked.registry.name, Tracking(asked.workspace, check=False)
    if not tracking.is_served:
        return {"registry": lambda: f"{name} is kept in the database, which has no users."}
    return {
        f"registry {each}": _probe(tracking.background(), each, asked.workspace.run) for each in (name, log_of(name))
    }


def _probe(tracking: Tracking, name: str, run: str) -> Check:
    def check() -> str:
        try:
            return tracking.models.probe(name, run)
        except Exception as error:
            if stop := refused(error):
                raise stop from None
            raise

    return check
