"""How many tokens a prompt has: chat template and all, as the model that is trained will read it.

`tokenizers` and `jinja2` alone count a folder that has tokenizer.json and a plain chat template, which spares prepare
the seconds and the memory of importing transformers and torch; anything else is left to transformers.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from medu1.errors import Stop
from medu1.prompt import messages
from medu1.question import Question

BATCH = 512  # prompts tokenized at once

SAMPLE = [
    {"role": role, "content": "."} for role in ("system", "user")
]  # shows whether a template can be rendered here

Render = Callable[[list[dict[str, str]]], str]
Count = Callable[[list[str]], list[int]]


def prompt_lengths(folder: Path) -> Callable[[Sequence[Question]], list[int]]:
    """What counts the tokens of each question's prompt, in order; the tokenizer is loaded when the first is counted.

    It raises Stop where the folder's tokenizer has no chat template.
    """

    @cache
    def loaded() -> tuple[Render, Count]:
        return _light(folder) or _transformers(folder)

    def lengths(questions: Sequence[Question]) -> list[int]:
        render, count = loaded()
        starts = range(0, len(questions), BATCH)
        batches = ([render(messages(each)) for each in questions[start : start + BATCH]] for start in starts)
        return [tokens for batch in batches for tokens in count(batch)]

    return lengths


def _light(folder: Path) -> tuple[Render, Count] | None:
    """Without transformers; None where the files or the template need it."""
    template, file = _template(folder), folder / "tokenizer.json"
    if template is None or not file.exists():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    try:
        compiled = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)
        marks = _marks(folder)
        compiled.render(messages=SAMPLE, add_generation_prompt=True, **marks)
    except TemplateError:
        return None
    return (
        lambda turns: compiled.render(messages=turns, add_generation_prompt=True, **marks),
        lambda texts: [len(row.ids) for row in tokenizer.encode_batch_fast(texts, add_special_tokens=False)],
    )


def _template(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    template = _configuration(folder).get("chat_template")
    return template if isinstance(template, str) else None


def _marks(folder: Path) -> dict[str, str]:
    """The special tokens a template may write, such as bos_token."""
    stated = {key: value for key, value in _configuration(folder).items() if key.endswith("_token")}
    texts = {key: value.get("content") if isinstance(value, dict) else value for key, value in stated.items()}
    return {key: value for key, value in texts.items() if isinstance(value, str)}


def _configuration(folder: Path) -> dict[str, object]:
    try:
        return dict(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _transformers(folder: Path) -> tuple[Render, Count]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if not tokenizer.chat_template:
        raise Stop(
            f"The tokenizer of {tokenizer.name_or_path} has no chat template.",
            "Prompts are conversations, and training and evaluation render them the same way.",
            "Choose an instruction-tuned model for train.base_model.",
        )
    return (
        lambda turns: str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)),
        lambda texts: [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]],
    )
