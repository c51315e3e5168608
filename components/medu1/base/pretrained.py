"""A base model from the Hugging Face hub or a local folder, copied into the store in Hugging Face layout.

What training would only trip over hours later is refused here: with the tokenizer, before any question is prepared,
what only the tokenizer tells; with the weights the rest. No code and no pickle of a model's repository is read. A
vision-language model is copied with its processor, by which its folder is told from a language model's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medu1.base.tokenizer import TAGS
from medu1.errors import Stop
from medu1.prompt import messages
from medu1.question import Integer, Question

SAMPLE = Question(id="sample", source="medu1", text="How many litres is 250 ml + 750 ml?", gold=Integer(value=1))
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
ADAPTER = "adapter_config.json"


def copy_tokenizer(name: str, revision: str, folder: Path) -> int:
    """Write the tokenizer's files, chat template included, and give its size.

    Raises Stop where it cannot be read, has no end token or no chat template for text questions, or loses the tags.
    """
    reader = _Repository(name, revision).reader()
    tokenizer = _tokenizer_of(reader)
    _check_end(name, tokenizer)
    _check_tags(name, tokenizer)
    _check_template(name, tokenizer)
    if reader is not tokenizer:
        _check_parts(name, tokenizer)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def copy_model(name: str, revision: str, folder: Path) -> None:
    """Write weights as safetensors beside configuration and tokenizer or processor.

    Raises Stop where they cannot be read whole, or the tokenizer has more tokens than the model.
    """
    repository = _Repository(name, revision)
    model = repository.model()
    reader = repository.reader()
    _check_vocabulary(name, _tokenizer_of(reader), model)
    model.save_pretrained(folder)
    reader.save_pretrained(folder)


@dataclass(frozen=True)
class _Repository:
    """A folder, or a model of the hub at one revision."""

    name: str
    revision: str

    def model(self) -> Any:
        """The weights in their own precision, by the architecture's class. Raises Stop where they are not whole."""
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        self._check_files()
        kind = AutoModelForImageTextToText if self._sees() else AutoModelForCausalLM
        model, loading = self._read(
            kind, use_safetensors=True, dtype="auto", ignore_mismatched_sizes=True, output_loading_info=True
        )
        absent = sorted([*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])])
        if absent:
            raise Stop(
                f"train.base_model {self.name} lacks {len(absent)} weights of its config.json, such as {absent[0]}.",
                "They are not in its files or have another shape, and would be random.",
                "Copy or download it again, or name a model whose files are whole.",
            )
        return model

    def _check_files(self) -> None:
        """What transformers would read otherwise, or not say plainly."""
        if self._holds(ADAPTER):
            raise Stop(
                f"train.base_model {self.name} is an adapter ({ADAPTER}).",
                "Training starts from whole weights.",
                "Merge it into the model it belongs to, or name that model.",
            )
        if not any(map(self._holds, SAFE)) and (pickle := next(filter(self._holds, PICKLES), None)):
            raise self._refused(
                f"its weights are pickles, {pickle}, and reading a pickle runs code",
                "Choose another train.base_model, or convert the weights to safetensors.",
            )

    def reader(self) -> Any:
        """The tokenizer; a vision-language model's processor, which holds it."""
        from transformers import AutoProcessor, ProcessorMixin

        if not self._sees():
            return self._tokenizer()
        processor, tokenizer = self._read(AutoProcessor), self._tokenizer()
        if not isinstance(processor, ProcessorMixin):
            raise self._refused("a vision-language model without a processor", "Name a model whose files are whole.")
        processor.chat_template = tokenizer.chat_template = processor.chat_template or tokenizer.chat_template
        processor.tokenizer = tokenizer
        return processor

    def _tokenizer(self) -> Any:
        """A tokenizer that says it is plain is read as one, as `generation/tokenizer.py` reads it later."""
        import transformers
        from transformers.models.auto.tokenization_auto import get_tokenizer_config

        named = get_tokenizer_config(self.name, **self._where()).get("tokenizer_class") or ""
        plain = getattr(transformers, named, None) is transformers.PreTrainedTokenizerFast
        return self._read(transformers.PreTrainedTokenizerFast if plain else transformers.AutoTokenizer)

    def _sees(self) -> bool:
        """Whether the architecture is a vision-language one."""
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as SEEING

        architectures = self._read(AutoConfig).architectures or [""]
        return architectures[0] in SEEING.values()

    def _read(self, kind: Any, **options: object) -> Any:
        try:
            return kind.from_pretrained(self.name, trust_remote_code=False, **self._where(), **options)
        except ImportError as error:
            raise self._refused(_first_sentence(error), "Install what it needs.") from None
        except Exception as error:  # tokenizers and safetensors raise kinds of their own
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> Stop:
        from safetensors import SafetensorError

        if "trust_remote_code" in str(error):
            return self._refused(
                "its repository brings code of its own, and no code from a repository is run",
                "Choose a model whose architecture is part of transformers.",
            )
        if isinstance(error, SafetensorError):
            return self._refused(f"its weights are damaged: {error}", "Copy or download it again.")
        return self._refused(
            _first_sentence(error),
            "A model comes as a Hugging Face id or a folder with config.json, tokenizer and safetensors weights: "
            "correct train.base_model, or convert the weights to safetensors.",
        )

    def _refused(self, why: str, next_step: str) -> Stop:
        return Stop(f"train.base_model {self.name} cannot be loaded ({why}).", next_step=next_step)

    def _holds(self, file: str) -> bool:
        from transformers.utils.hub import has_file

        try:
            return bool(has_file(self.name, file, **self._where()))
        except OSError:  # neither a folder nor a repository
            return False

    def _where(self) -> dict[str, Any]:
        return {} if Path(self.name).is_dir() else {"revision": self.revision}


def _check_end(name: str, tokenizer: Any) -> None:
    """Padding falls back to the end token, so that alone is needed."""
    if tokenizer.eos_token_id is None:
        raise Stop(
            f"The tokenizer of train.base_model {name} has no end token.",
            "No completion could end before the token limit, and without a padding token none could be padded.",
            "Set eos_token in its tokenizer_config.json to the token that ends an assistant's turn.",
        )


def _check_tags(name: str, tokenizer: Any) -> None:
    """Completions are read without special tokens, and the grader reads the tags."""
    lost = [tag for tag in TAGS if tag not in _read_back(tokenizer, tag)]
    if not lost:
        return
    if any(tag in _special(tokenizer) for tag in lost):
        raise Stop(
            f"The tokenizer of train.base_model {name} has {', '.join(lost)} as special tokens.",
            "Special tokens are left out when a completion is read, so every answer would lack its tags.",
            'Copy the model, set "special" to false for them in tokenizer.json and in tokenizer_config.json, take them '
            "out of its lists of special tokens, and name that folder.",
        )
    raise Stop(
        f"The tokenizer of train.base_model {name} cannot write {', '.join(lost)}.",
        "Its vocabulary lacks their characters, or its files are not whole.",
        "Copy or download it again, or choose another train.base_model.",
    )


def _read_back(tokenizer: Any, text: str) -> str:
    return str(tokenizer.decode(tokenizer.encode(text, add_special_tokens=False), skip_special_tokens=True))


def _special(tokenizer: Any) -> set[str]:
    added = tokenizer.added_tokens_decoder.values()
    return {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)}


def _check_template(name: str, tokenizer: Any) -> None:
    """A question has to come through it, and a completion has to begin with its thought."""
    if not tokenizer.chat_template:
        raise Stop(
            f"The tokenizer of train.base_model {name} has no chat template.",
            "Prompts are conversations, and training and evaluation render them the same way.",
            "Choose an instruction-tuned model, or put a chat_template.jinja into a copy of it.",
        )
    prompt = _rendered(name, tokenizer, messages(SAMPLE))
    if SAMPLE.text not in prompt:
        raise Stop(
            f"The chat template of train.base_model {name} leaves the user's text out.",
            "It takes no content that is plain text, and questions are plain text.",
            "Choose another model, or put a chat_template.jinja that takes it into a copy of it.",
        )
    if prompt.rstrip().endswith(TAGS[0]):
        raise Stop(
            f"The chat template of train.base_model {name} opens {TAGS[0]} itself.",
            "Completions would begin inside the thought and never hold all tags, so none would have the right format.",
            f"Take {TAGS[0]} out of the generation prompt in the chat_template.jinja of a copy of it.",
        )


def _check_parts(name: str, tokenizer: Any) -> None:
    """TRL gives a vision-language model's template content in parts, evaluation gives it text."""
    parts = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in messages(SAMPLE)]
    if _rendered(name, tokenizer, parts) != _rendered(name, tokenizer, messages(SAMPLE)):
        raise Stop(
            f"The chat template of train.base_model {name} renders text and text in parts differently.",
            "Training gives it parts and evaluation text, so a model would be judged on other prompts than it knows.",
            "Choose another model, or put a chat_template.jinja that treats them alike into a copy of it.",
        )


def _rendered(name: str, tokenizer: Any, turns: list[dict[str, Any]]) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except (TemplateError, ValueError, TypeError) as error:
        raise Stop(
            f"The chat template of train.base_model {name} cannot render a question ({_first_sentence(error)}).",
            "A prompt has a system and a user turn.",
            "Choose another model, or put a chat_template.jinja that takes both into a copy of it.",
        ) from None


def _check_vocabulary(name: str, tokenizer: Any, model: Any) -> None:
    """A token without a row in the embedding would fail, or on a GPU crash, only when it is met."""
    rows = int(model.get_input_embeddings().weight.shape[0])
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise Stop(
            f"The tokenizer of train.base_model {name} has tokens up to {highest} and the model has {rows}.",
            "Its embedding has no row for the others.",
            "Resize the embedding (resize_token_embeddings), or name the tokenizer the model was trained with.",
        )


def _tokenizer_of(reader: Any) -> Any:
    from transformers import ProcessorMixin

    return reader.tokenizer if isinstance(reader, ProcessorMixin) else reader


def _first_sentence(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.partition(". ")[0].rstrip(".")
