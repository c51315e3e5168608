"""The parameters of judging: what models are asked and by whom, and when a candidate may be registered."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medu1.section import Fraction, Positive, Rate, Section
from medu1.suite import Reasoning, Strategy, Suite

Spending = Literal["none", "halving", "series"]


class Endpoint(Section):
    """An OpenAI-compatible server that serves the models to be judged; its key is MEDU1_ENDPOINT_KEY's."""

    url: str  # such as http://vllm:8000/v1; "": none
    model: str  # the name it serves a model under; {weights} and {role} stand for the weights digest and the role
    concurrency: Positive  # requests under way at once
    timeout: Positive  # seconds a request

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        if "@" in self.url:
            raise ValueError("url holds a user: parameters are recorded, so a key belongs into MEDU1_ENDPOINT_KEY")
        return self

    @model_validator(mode="after")
    def _tells_models_apart(self) -> Self:
        if self.url and not ("{weights}" in self.model or "{role}" in self.model):
            raise ValueError(f"model {self.model!r} names one for all that are judged: say {{weights}} or {{role}}")
        return self


class Evaluate(Section):
    """Greedy decoding on frozen questions."""

    backend: Literal["transformers", "vllm", "endpoint"]  # what generates; stated and recorded
    endpoint: Endpoint  # read where backend is endpoint
    strategy: Strategy  # how test and out-of-distribution questions are asked; method: by the prompt of training
    reasoning: Reasoning
    suites: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], Suite]  # by name
    max_completion_tokens: Positive
    batch: Positive
    confidence: Rate  # of the intervals
    completions_shown: Positive  # rows of the completions table and samples in the report

    @model_validator(mode="after")
    def _has_an_endpoint(self) -> Self:
        if self.backend == "endpoint" and not self.endpoint.url:
            raise ValueError("backend endpoint needs endpoint.url")
        return self


class Decide(Section):
    """When a candidate may be registered."""

    min_gain: Annotated[float, Field(ge=-1, le=1)]  # a share: the paired difference's lower bound must exceed it
    alpha: Rate  # two-sided level of all promotions on one frozen set together, or of each, as `spending` says
    spending: Spending  # of alpha over the decisions on the same frozen questions; evaluate/statistics.py has the rules
    veto: Annotated[float, Field(gt=0, lt=0.5)]  # one-sided level at which one family that falls refuses; uncorrected
    above_chance: bool  # the lower bound on choice questions must exceed blind guessing
    max_truncated: Fraction | None  # share of the candidate's test answers cut off by the token limit; None: not judged
    max_malformed: Fraction | None  # share of them not in the method's format; None: not judged
