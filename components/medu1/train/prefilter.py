"""Which training questions the base answers always or never: left out before training, by draws of their own.

A group whose rewards are all equal teaches nothing. Replacing such groups while training runs would keep those that
came out mixed by luck, and bias what a group looks like; so questions are chosen before, by completions that are not
trained on, and a group once begun is never changed. The shares are measured once for a base, a dataset and a grader;
other bounds choose anew from the same ones.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medu1 import dataset as prepared
from medu1 import record
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.manifest import DatasetManifest, ModelManifest
from medu1.params import Prefilter, Scoring, Train
from medu1.prompt import messages
from medu1.question import Question
from medu1.scoring.score import score
from medu1.stage import Stage, fetch, produce
from medu1.train.budgets import assigned

NAME = "shares.json"  # question id -> share of its completions that is right
PROMPTS = 16  # asked at a time; part of what is drawn


def shares(params: Train, scoring: Scoring, base: ModelManifest, data: DatasetManifest, code: str) -> Path | None:
    """A file with the share of right completions of each training question; None where no filter is asked for.

    Raises Stop where none lies between the bounds.
    """
    if not params.prefilter.samples:
        return None
    sections = {
        "samples": params.prefilter.samples,
        "families": list(params.families),
        "seed": params.seed,
        "temperature": _temperature(params),
        "max_completion_tokens": params.max_completion_tokens,
        "budgets": params.budgets.model_dump(mode="json"),
        "scoring": scoring.model_dump(mode="json"),
    }

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        held = prepared.read(fetch(data.key, stage.workspace).folder, "train")
        questions = [each for each in held if each.family in params.families]
        found = measured(fetch(base.key, stage.workspace).folder, questions, params, scoring, stage)
        stage.note(f"kept {len(between(found, params.prefilter)):,} of {len(found):,} questions; {_told(found)}")
        record.write_text(folder / NAME, json.dumps(found, sort_keys=True, indent=0))
        return {"questions": len(found)}

    output = produce("prefilter", sections, {"base": base.digest, "dataset": data.digest}, code, make, is_phase=True)
    bounds, path = params.prefilter, output.folder / NAME
    if not between(read(path), bounds):
        raise Stop(
            "train.prefilter leaves no question to train on.",
            f"For none of {output.record.facts['questions']:,} questions does the base's share of right answers lie "
            f"between {bounds.low:g} and {bounds.high:g}.",
            "Widen low and high, draw more samples, or set train.prefilter.samples to 0.",
        )
    return path


def read(path: Path) -> dict[str, float]:
    """The shares of such a file."""
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def between(shares: Mapping[str, float], params: Prefilter) -> list[str]:
    """Ids whose share lies strictly between the bounds, in the order given."""
    return [name for name, share in shares.items() if params.low < share < params.high]


def measured(
    base: Path, questions: Sequence[Question], params: Train, scoring: Scoring, stage: Stage
) -> dict[str, float]:
    """The share of right completions of each question, sampled as training samples."""
    import torch

    from medu1.generation import sampling
    from medu1.generation.local import ends, load

    local, samples = load(base), params.prefilter.samples
    if reason := sampling.obstacle(local.model):
        raise Stop(
            f"train.prefilter cannot sample from this base: {reason}.",
            "It decodes on this machine, with the loop for plain decoders.",
            "Set train.prefilter.samples to 0.",
        )
    torch.manual_seed(params.seed)
    found: dict[str, float] = {}
    for start in range(0, len(questions), PROMPTS):
        part = questions[start : start + PROMPTS]
        prompts = [_ids(local.tokenizer, each, params) for each in part for _ in range(samples)]
        choose = sampling.Sampled(len(prompts), _temperature(params))
        tokens = sampling.decode(
            local.model, prompts, max_tokens=params.max_completion_tokens, ends=ends(local), choose=choose
        )
        texts = local.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        for number, question in enumerate(part):
            own = texts[number * samples : (number + 1) * samples]
            found[question.id] = sum(_is_right(question, text, scoring) for text in own) / samples
        stage.progress(min(start + len(part), len(questions)), len(questions))
    return found


def _temperature(params: Train) -> float:
    from medu1.train.options import chosen

    return float(chosen(params)["temperature"])


def _ids(tokenizer: Any, question: Question, params: Train) -> list[int]:
    """As training asks it, with the length it asks for."""
    asked = messages(question, assigned(question, params.budgets, params.seed))
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(text, add_special_tokens=False))


def _is_right(question: Question, text: str, scoring: Scoring) -> bool:
    return score(question, Completion(question_id=question.id, text=text), None, scoring).correct is True


def _told(shares: Mapping[str, float]) -> str:
    never, always = (sum(share == bound for share in shares.values()) for bound in (0.0, 1.0))
    return f"{never:,} never right, {always:,} always"
