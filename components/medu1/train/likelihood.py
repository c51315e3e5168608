"""Log-probabilities and entropies of completions, a group's prompt computed once.

A piece is a prompt without its last token, then for each of its completions that last token and the completion without
its own last one: so every token after the prompt predicts one token of a completion. Pieces lie side by side in rows
with little padding, and a mask keeps a completion from seeing another, or another prompt. The gradient reaches a shared
prompt through all completions that read it.

The model's forward runs once, on plain arguments, through whatever wraps it, and only positions that predict something
reach its head. Where their logits are few enough to be kept for the backward pass, they are; where not, the head that
TRL gives a model takes them in tiles and computes each tile twice (`add_fused_lm_head`, the same formula).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import compress
from typing import Any, NamedTuple

import torch

IGNORED = -100  # the label of a position that predicts nothing
WHOLE = 1 << 26  # logits that are kept at most: 256 MiB, and as much again for each of a few steps to the loss
LIMIT = 1024  # tokens of a piece: attention grows with its square, so a large group reads its prompt again
PROMPT = 0  # the segment of a piece's prompt; its completions count from 1


class Likelihood(NamedTuple):
    """Of each completion's tokens, [completions, length]; 0 where a token is masked. Entropies in nats."""

    log_probs: torch.Tensor
    entropies: torch.Tensor | None  # None where TRL's head gives none


class Piece(NamedTuple):
    """A prompt and some of its completions."""

    prompt: tuple[int, ...]
    completions: tuple[int, ...]  # their numbers
    size: int  # in tokens


class Place(NamedTuple):
    """One token that the model reads."""

    token: int
    position: int
    label: int
    piece: int  # which of its row's pieces it belongs to
    segment: int  # and to which part of it
    completion: int  # whose token the label is
    step: int  # and which of its tokens


PADDING = Place(0, 0, IGNORED, -1, -1, -1, -1)  # sees only itself and padding, and nobody sees it


class Packed(NamedTuple):
    """Fields of `Place` as tensors [rows, width] each."""

    tokens: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor
    pieces: torch.Tensor
    segments: torch.Tensor
    completions: torch.Tensor
    steps: torch.Tensor

    def mask(self) -> torch.Tensor:
        """Who sees whom, [rows, 1, width, width]: a prompt itself, a completion its prompt and itself, nobody ahead."""
        query, key = self.segments[:, :, None], self.segments[:, None, :]
        is_together = self.pieces[:, :, None] == self.pieces[:, None, :]
        return (is_together & ((key == PROMPT) | (key == query))).tril()[:, None]


def likelihood(
    model: Any, backbone: Any, ids: torch.Tensor, mask: torch.Tensor, length: int, temperature: float
) -> Likelihood:
    """Of the last `length` tokens of each row: prompts are padded on the left, completions on the right.

    `model` has TRL's head for this temperature and may be wrapped; `backbone` is the module below its head. A
    completion masked as a whole is left out.
    """
    rows = list(zip(ids.tolist(), mask.tolist(), strict=True))
    prompts = [tuple(compress(row[:-length], kept[:-length])) for row, kept in rows]
    completions = [list(compress(row[-length:], kept[-length:])) for row, kept in rows]
    packed = pack(prompts, completions, ids.device)
    is_counted = packed.labels != IGNORED
    labels, owners = packed.labels[is_counted], (packed.completions[is_counted], packed.steps[is_counted])
    read = {"input_ids": packed.tokens, "attention_mask": packed.mask(), "position_ids": packed.positions}
    with _keeping(backbone, is_counted):
        if len(labels) * backbone.config.vocab_size <= WHOLE:
            logits = model(**read, use_cache=False).logits[0]
            found = _of_logits(logits, labels, temperature)
        else:
            output = model(**read, shift_labels=labels[None], fused_lm_head=True)
            found = Likelihood(output.log_probs[0], None if output.entropy is None else output.entropy[0])

    def in_place(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(ids.shape[0], length).index_put(owners, values)

    return Likelihood(in_place(found.log_probs), None if found.entropies is None else in_place(found.entropies))


def _of_logits(logits: torch.Tensor, labels: torch.Tensor, temperature: float) -> Likelihood:
    """In float32, a label's each."""
    log_probs = (logits.float() / temperature).log_softmax(-1)
    return Likelihood(log_probs.gather(-1, labels[:, None])[:, 0], -(log_probs.exp() * log_probs).sum(-1))


def pack(prompts: Sequence[tuple[int, ...]], completions: Sequence[Sequence[int]], device: torch.device) -> Packed:
    """Equal prompts together wherever they stand; empty completions are left out."""
    rows = [
        [place for number, piece in enumerate(row) for place in _laid_out(piece, number, completions)]
        for row in _shelved(_pieces(prompts, [len(completion) for completion in completions]))
    ]
    width = max(map(len, rows))
    places = [place for row in rows for place in (*row, *[PADDING] * (width - len(row)))]
    return Packed(*(torch.tensor(field, device=device).view(len(rows), width) for field in zip(*places, strict=True)))


def _pieces(prompts: Sequence[tuple[int, ...]], lengths: Sequence[int]) -> list[Piece]:
    """By prompt; one of several completions is not above the limit."""
    pieces: dict[tuple[int, ...], list[Piece]] = {}
    for number, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        if not length:
            continue
        group = pieces.setdefault(prompt, [])
        if not group or group[-1].size + length > LIMIT:
            group.append(Piece(prompt, (), len(prompt) - 1))
        group[-1] = Piece(prompt, (*group[-1].completions, number), group[-1].size + length)
    return [piece for group in pieces.values() for piece in group]


def _shelved(pieces: list[Piece]) -> list[list[Piece]]:
    """Rows as wide as the largest piece; the largest go first, each into the first row with room."""
    ordered = sorted(pieces, key=lambda piece: -piece.size)
    rows: list[list[Piece]] = []
    for piece in ordered:
        room = ordered[0].size - piece.size
        fitting = [row for row in rows if sum(each.size for each in row) <= room]
        if fitting:
            fitting[0].append(piece)
        else:
            rows.append([piece])
    return rows


def _laid_out(piece: Piece, number: int, completions: Sequence[Sequence[int]]) -> Iterator[Place]:
    *prompt, last = piece.prompt
    for position, token in enumerate(prompt):
        yield Place(token, position, IGNORED, number, PROMPT, -1, -1)
    for segment, completion in enumerate(piece.completions, 1):
        labels = completions[completion]
        for index, (token, label) in enumerate(zip((last, *labels[:-1]), labels, strict=True)):
            yield Place(token, len(prompt) + index, label, number, segment, completion, index)


@contextmanager
def _keeping(backbone: Any, is_kept: torch.Tensor) -> Iterator[None]:
    """While it lasts, the backbone hands on the hidden states of these positions only, as one row."""

    def keep(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[is_kept][None]
        return output

    handle = backbone.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
