"""`medu1 ask`: one question to a registered model, whose files are proven before anything is loaded.

The prompt is the one of training and evaluation. It states what form the answer takes and so needs the kind of gold; it
reads no gold's value, so a placeholder of that kind stands in for the answer that nobody knows.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from rich.console import Console
from rich.text import Text

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.question import LETTERS, Choice, Date, FreeText, Gold, Number, Question, WeeksDays
from medu1.registered_models import KEY, WEIGHTS
from medu1.scoring.answer import extract
from medu1.scoring.grading import DEFAULT_SCORING
from pipelines import registered
from pipelines.registered import Registered
from pipelines.terminal import line, shown

if TYPE_CHECKING:
    from medu1.tracking import Tracking

NOTICE: Final = "For research; not for use in care."
UNKNOWN: Final[Mapping[str, Gold]] = {  # by the form of the answer
    "text": FreeText(text="unknown"),
    "number": Number(value=0),
    "date": Date(value="01/01/2000"),
    "weeks_days": WeeksDays(weeks=0, days=0),
}
LONGEST: Final = 100_000  # characters of a question, a context or an option


class Answered(NamedTuple):
    """What a version said."""

    name: str
    version: str
    weights: str
    reasoning: str
    answer: str | None  # None: no answer could be read out
    reason: str  # why there is none, or what is wrong with it; ""
    completion: Completion


def question(text: str, context: str, options: Sequence[str], form: str) -> Question:
    """The question as the prompt needs it. Raises Stop where it is none."""
    if not text.strip():
        raise Stop("There is no question.", "Its text is empty.", 'Write it as: medu1 ask "What is ...?"')
    if form and form not in UNKNOWN:
        raise Stop(f"There is no form of answer {form!r}.", next_step=f"Use {', '.join(UNKNOWN)}, or options.")
    choices = _options(options)
    if choices and form:
        raise Stop("Options and a form of answer do not go together.", next_step="Leave --answer away.")
    gold = Choice(letter=min(choices)) if choices else UNKNOWN[form or "text"]
    if longest := max(map(len, (text, context, *options)), default=0) // LONGEST:
        raise Stop(f"A text is over {longest * LONGEST:,} characters long.", next_step="Ask about less at once.")
    return Question(id="asked", source="asked", text=text.strip(), context=context, options=choices, gold=gold)


def _options(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        letter, mark, said = (part.strip() for part in text.partition("="))
        letter = letter.upper()
        if not mark or not said or letter not in LETTERS:
            raise Stop(
                f"--option {text[:60]!r} is no option.", next_step='Write letter and text: --option A="aspirin".'
            )
        if letter in found:
            raise Stop(f"There are two options {letter}.", next_step="Give each a letter of its own.")
        found[letter] = said
    if len(found) == 1:
        raise Stop("There is one option only.", "A choice is between two or more.", "Add an option, or ask without.")
    return found


def budget(tokens: int | None) -> LengthBudget | None:
    """The length of reasoning that is asked for; None leaves it free."""
    return None if tokens is None else LengthBudget(tokens=tokens, mode="exact")


def ask(
    tracking: "Tracking", name: str, version: str, asked: Question, budget: LengthBudget | None, max_tokens: int | None
) -> Answered:
    """Ask a version, by number or alias; "" is the champion of the promotion log. Greedy.

    Raises Stop where there is none, where its files are not those that were registered, and where the prompt does not
    fit the model.
    """
    from transformers.utils import logging

    from medu1.generation import greedy, local

    found = registered.find(tracking, name, version or _champion(tracking, name))
    logging.disable_progress_bar()
    with _files(tracking, found) as folder:
        model = local.load(folder)
        limit = max_tokens or _limit(tracking, found)
        _check_room(model, asked, budget, limit)
        (completion,) = greedy.complete(model, [asked], max_tokens=limit, batch=1, budget=budget)
    extracted = extract(completion, DEFAULT_SCORING.max_answer_characters)
    return Answered(
        name=name,
        version=found.version,
        weights=found.tags.get(WEIGHTS, ""),
        reasoning=_reasoning(completion.text),
        answer=extracted.text,
        reason=extracted.fault.value if extracted.fault else "",
        completion=completion,
    )


def _champion(tracking: "Tracking", name: str) -> str:
    from medu1.register import trail

    with trail.telling(f"the champion of {name} was looked up"):
        champion, is_empty = tracking.models.champion(name).version, not tracking.models.versions(name)
    if is_empty:
        raise registered.nothing(name)
    if not champion:
        raise Stop(f"{name} has no champion.", "No version was promoted.", "Name one with --version.")
    return champion


@contextmanager
def _files(tracking: "Tracking", version: Registered) -> Iterator[Path]:
    """The version's folder on this machine, whose every file is the one that was registered.

    What is loaded is what is proven, so a copy in a cache is held to the digest as much as the store itself.
    """
    from medu1 import record
    from medu1.register import files
    from medu1.register.files import FILES
    from medu1.storage import open_store

    key, expected = version.tags.get(KEY, ""), version.tags.get(FILES, "")
    with _fetched(tracking, version, open_store(tracking.workspace).fetch(key) if key else None) as folder:
        if folder and expected and files.digest(record.entries(folder)) == expected:
            yield folder
            return
    if held := tracking.models.version(version.name, version.version):
        files.check(tracking, held)  # says what is wrong with what is stored
    raise Stop(
        f"The copy of version {version.version} of {version.name} on this machine is not what was registered.",
        f"The store has it whole; the copy is {folder or 'absent'}.",
        "Delete the copy: the next command fetches it again.",
    )


@contextmanager
def _fetched(tracking: "Tracking", version: Registered, stored: Path | None) -> Iterator[Path | None]:
    """Where the store does not have it: the folder the version points at, else its artifacts."""
    source = version.source
    if stored or source.startswith("file:"):
        local = stored or Path(unquote(urlsplit(source).path))
        yield local if local.is_dir() else None
        return
    work = Path(tempfile.mkdtemp(prefix="medu1-"))
    try:
        yield _downloaded(tracking, version, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _downloaded(tracking: "Tracking", version: Registered, work: Path) -> Path | None:
    """Behind a server a model lies among the artifacts of its train run."""
    from medu1.register import trail

    run, (_, mark, path) = version.tags.get("medu1.train_run", ""), version.source.rpartition("/artifacts/")
    if not run or not mark:
        return None
    with trail.telling(f"the files of version {version.version} were fetched"):
        return Path(tracking.client.download_artifacts(run, path, str(work)))


def _limit(tracking: "Tracking", version: Registered) -> int:
    """As many tokens as it was trained to take."""
    trained = registered.step_record(tracking, version.tags.get("medu1.train_run", ""))
    found = (trained.params.get("train") or {}).get("max_completion_tokens") if trained else None
    if not isinstance(found, int):
        raise Stop(
            f"Nothing says how many tokens version {version.version} may take.",
            "The record of its training is gone from MLflow.",
            "Say it with --max-tokens.",
        )
    return found


def _check_room(model: Any, asked: Question, budget: LengthBudget | None, limit: int) -> None:
    from medu1.prompt import messages

    room = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    prompt = model.tokenizer.apply_chat_template(messages(asked, budget), tokenize=True, add_generation_prompt=True)
    tokens = len(prompt["input_ids"] if isinstance(prompt, Mapping) else prompt)
    if room and tokens + limit > room:
        raise Stop(
            f"The question has {tokens:,} tokens; with {limit:,} for the answer that is more than the {room:,} that "
            "the model can read.",
            next_step="Ask about less at once, or lower --max-tokens.",
        )


def _reasoning(text: str) -> str:
    """What stands before the answer, without the method's tags."""
    thought, closed, _ = text.rpartition("</think>")
    return (thought if closed else text.partition("<answer>")[0]).replace("<think>", "").strip()


def show(answered: Answered, console: Console) -> None:
    """For a person: reasoning dimmed, then the answer. What the model wrote is text to a terminal, and nothing else."""
    if answered.reasoning:
        console.print(Text(shown(answered.reasoning), style="dim"), soft_wrap=True)
    if answered.answer is None:
        said = "cut off by the token limit" if answered.completion.finish == "length" else "none in the method's form"
        console.print(Text(f"No answer: {said} ({answered.reason})."), soft_wrap=True)
    else:
        fault = f"  ({answered.reason})" if answered.reason else ""
        console.print(Text(f"{line(answered.answer)}{fault}", style="bold"), soft_wrap=True)
    tokens = "" if answered.completion.tokens is None else f", {answered.completion.tokens:,} tokens"
    console.print(Text(f"{answered.name} {answered.version}{tokens}. {NOTICE}"), soft_wrap=True)


def summary(answered: Answered) -> dict[str, Any]:
    """For a machine."""
    return {
        **answered._asdict(),
        "completion": answered.completion.text,
        "tokens": answered.completion.tokens,
        "finish": answered.completion.finish,
        "notice": NOTICE,
    }
