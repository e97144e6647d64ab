"""A training of a network from vectors to pictures, step by step."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from unitdb.errors import ModelError
from unitdb.nn.networks import Critic, begin_with
from unitdb.nn.painting import resized
from unitdb.nn.seeking import rng_of
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.trained import FORMAT, TrainedGenerator, made_network, read_tensors, write_tensors
from unitdb.nn.transform import Look, Transform, looked

if TYPE_CHECKING:
    from unitdb.nn.training import Training

__all__ = ["Eyes", "Run"]

_KEPT_BYTES = 1 << 28  # of activations of true pictures
_LEAST = 1e-24  # variance of a layer that does not vary
_SDS = 3  # bounds of latents, as published: training mean ± 3 SD


class Eyes:
    """The feature loss: what a network makes of pictures, beside what it makes of true ones."""

    def __init__(
        self, features: SelectedActivations, look: Look, size: int | None, *, by: str
    ) -> None:
        self._features, self._look, self._by = features, look, by
        self._size = look.size if size is None and isinstance(look, Transform) else size
        self._scale = torch.ones(())
        self._kept: torch.Tensor | None = None

    def measure(self, pictures: torch.Tensor, batch: int) -> None:
        """Take the variance of each layer over true pictures, the mean of its units'.

        What the network makes of them is kept for all steps, where it is little.
        """
        n, sums, squares = len(pictures), torch.zeros(()), torch.zeros(())
        kept: list[torch.Tensor] = []
        for some in pictures.split(batch):
            found = self._seen(some)
            if n * found.shape[1] * found.element_size() <= _KEPT_BYTES:
                kept.append(found)
            found = found.double()
            sums, squares = sums + found.sum(0), squares + found.square().sum(0)
        self._kept = torch.cat(kept) if kept else None
        variance = (squares / n - (sums / n).square()).clamp(min=0)
        if self._by == "sum":
            self._scale = torch.full_like(variance, 0.5).sqrt().float()
            return
        self._scale = torch.cat(
            [
                (1 / (of_units.mean().clamp(min=_LEAST) * len(of_units)).sqrt()).expand_as(of_units)
                for of_units in self._features.split(variance).values()
            ]
        ).float()

    def error(self, made: torch.Tensor, rows: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        """Squared errors of made pictures' activations, scaled; true ones are rows of all."""
        wanted = self._seen(pictures[rows]) if self._kept is None else self._kept[rows]
        return ((self._activations(made) - wanted) * self._scale).square().sum() / len(made)

    def _seen(self, pictures: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._activations(pictures.float())

    def _activations(self, pictures: torch.Tensor) -> torch.Tensor:
        seen = pictures.expand(-1, 3, -1, -1)
        if self._size is not None:
            seen = resized(seen, self._size)
        found: torch.Tensor = self._features(looked(self._look, seen))
        return found


class Run:
    """A training, step by step."""

    def __init__(
        self,
        settings: dict[str, Any],
        training: Training,
        vectors: torch.Tensor,
        pictures: torch.Tensor,
        eyes: Eyes | None,
    ) -> None:
        self._settings, self._training, self._eyes = settings, training, eyes
        self._pictures = pictures
        self._key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        self._network = made_network(settings, rng_of(training.seed, "network")).to(vectors.device)
        mean, sd = vectors.mean(0), vectors.std(0)
        sd = torch.where(sd > 1e-6 * vectors.abs().amax(0), sd, torch.zeros_like(sd))
        self._network.mean, self._network.sd = mean, sd
        self._network.low = torch.maximum(mean - _SDS * sd, vectors.amin(0))
        self._network.high = torch.minimum(mean + _SDS * sd, vectors.amax(0))
        if training.start == "mean":
            begin_with(self._network, pictures.float().mean(0))
        self._scores = torch.where(sd > 0, (vectors - mean) / sd, torch.zeros_like(vectors))
        self._critic = Critic(
            settings["channels"], layers=training.critic, rng=rng_of(training.seed, "critic")
        ).to(vectors.device)
        options: dict[str, Any] = {"lr": training.lr, "betas": training.betas}
        self._makes = torch.optim.AdamW(
            self._network.parameters(),
            weight_decay=0 if training.scale == "sum" else training.weight_decay,
            **options,
        )
        self._tells = torch.optim.AdamW(
            self._critic.parameters(), weight_decay=training.weight_decay, **options
        )
        self._variance = float(pictures.float().var(0).mean().clamp(min=1e-6))
        self._turns = {"network": True, "critic": True}
        self._losses: dict[str, list[float]] = {}
        self._done = 0

    def whole(self, checkpoint: Path | None, every: int, progress: bool) -> TrainedGenerator:
        """Go on to the last step, from a checkpoint where there is one."""
        if every < 1:
            raise ModelError(f"every={every}; 1 or more steps")
        if checkpoint is not None and checkpoint.exists():
            self._go_on_from(checkpoint)
        if self._eyes is not None and self._done < self._training.steps:
            self._eyes.measure(self._pictures, self._training.batch)
        steps: Any = range(self._done, self._training.steps)
        if progress:
            from rich.console import Console
            from rich.progress import track

            steps = track(steps, "training", console=Console(stderr=True))
        self._network.train()
        for step in steps:
            self._step(step)
            self._done = step + 1
            if checkpoint is not None and self._done % every == 0:
                self._keep(checkpoint)
        if checkpoint is not None and self._training.steps % every:
            self._keep(checkpoint)
        self._network.zero_grad(set_to_none=True)
        losses = {k: np.array(v, dtype=np.float32) for k, v in self._losses.items()}
        return TrainedGenerator(
            network=self._network.eval(), losses=losses, settings=self._settings
        )

    def _step(self, step: int) -> None:
        training = self._training
        rows = _rows(len(self._scores), training.batch, step, training.seed)
        rng = rng_of(training.seed, f"step {step}")
        true = self._pictures[rows].float()
        scores = _disturbed(self._scores[rows], training, rng)
        made = self._network.drawn(scores)
        parts = self._parts(made, true, rows)
        of = {"image": training.image, "feature": training.feature}
        total = sum((of[name] * part for name, part in parts.items()), made.new_zeros(()))
        found = {name: float(part.detach()) for name, part in parts.items()}
        if training.adversarial:
            fooled = functional.softplus(-self._critic(made)).mean()
            total = total + training.adversarial * fooled
            found["adversarial"] = float(fooled.detach())
        if not math.isfinite(float(total.detach())):
            raise ModelError(f"step {step}: the loss is {float(total.detach())}; a lower lr may do")
        if self._turns["network"]:
            _move(self._makes, total, training.rate(step))
        if training.adversarial:
            found["critic"] = self._teach_critic(true, made.detach(), training.rate(step))
            if training.turns == "published":
                self._take_turns(found["critic"] / max(found["adversarial"], 1e-12))
        for name, value in found.items():
            self._losses.setdefault(name, []).append(value)

    def _parts(
        self, made: torch.Tensor, true: torch.Tensor, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Losses of pictures and of features, without their weights."""
        by = self._training.scale
        parts = {}
        if self._training.image:
            error = (made - true).square()
            parts["image"] = (
                error.mean() / self._variance if by == "variance" else error.sum() / 2 / len(made)
            )
        if self._eyes is not None:
            parts["feature"] = self._eyes.error(made, rows, self._pictures)
        return parts

    def _teach_critic(self, true: torch.Tensor, made: torch.Tensor, rate: float) -> float:
        loss = (
            functional.softplus(-self._critic(true)).mean()
            + functional.softplus(self._critic(made)).mean()
        )
        if self._turns["critic"]:
            _move(self._tells, loss, rate)
        return float(loss.detach())

    def _take_turns(self, q: float) -> None:
        if q < 0.1:
            self._turns["critic"] = False
        elif q > 0.5:
            self._turns["critic"] = True
        self._turns["network"] = q <= 10

    def _keep(self, path: Path) -> None:
        write_tensors(
            path,
            {
                "format": FORMAT + " checkpoint",
                "key": self._key,
                "done": self._done,
                "turns": dict(self._turns),
                "network": self._network.state_dict(),
                "critic": self._critic.state_dict(),
                "makes": self._makes.state_dict(),
                "tells": self._tells.state_dict(),
                "losses": self._losses,
            },
        )

    def _go_on_from(self, path: Path) -> None:
        found = read_tensors(path)
        if found.get("key") != self._key:
            raise ModelError(
                f"{path}: a checkpoint of another training, or another file; remove it, or give "
                "the vectors, pictures and settings that it is of"
            )
        self._network.load_state_dict(found["network"])
        self._critic.load_state_dict(found["critic"])
        self._makes.load_state_dict(found["makes"])
        self._tells.load_state_dict(found["tells"])
        self._turns, self._losses, self._done = found["turns"], found["losses"], found["done"]


def _move(engine: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> None:
    """Take one step; parameters of other networks get no gradients."""
    for group in engine.param_groups:
        group["lr"] = rate
    parameters = [p for group in engine.param_groups for p in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    engine.step()


def _disturbed(scores: torch.Tensor, training: Training, rng: torch.Generator) -> torch.Tensor:
    """Vectors with noise, and with entries set to 0, the others being as much larger."""
    if training.noise:
        scores = scores + training.noise * torch.randn(scores.shape, generator=rng).to(scores)
    if training.dropout:
        kept = torch.rand(scores.shape, generator=rng) >= training.dropout
        scores = scores * kept.to(scores) / (1 - training.dropout)
    return scores


def _rows(n: int, batch: int, step: int, seed: int) -> torch.Tensor:
    """Rows of a step: all rows in an order of their own come before one comes again."""
    at = range(step * batch, step * batch + min(batch, n))
    orders = {at_ // n: torch.Tensor() for at_ in at}
    for epoch in orders:
        orders[epoch] = torch.randperm(n, generator=rng_of(seed, f"order {epoch}"))
    return torch.stack([orders[place // n][place % n] for place in at])
