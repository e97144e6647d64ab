"""Common mistakes in the preprocessing of pictures."""

from __future__ import annotations

from typing import Literal

from unitdb.activations.preprocessing import Preprocessing

__all__ = ["common_changes"]


def common_changes(stated: Preprocessing) -> list[tuple[str, Preprocessing]]:
    """Name and preprocessing of each mistake: channels, mean and SD, size.

    Parameters
    ----------
    stated : Preprocessing
        What is changed.
    """

    def of(mean: tuple[float, float, float], std: tuple[float, float, float]) -> Preprocessing:
        return stated.model_copy(update={"mean": mean, "std": std})

    def sized(factor: float) -> Preprocessing:
        resize = None if stated.resize is None else round(stated.resize * factor)
        size = round(stated.size * factor)
        crop = stated.crop if resize is None else size / resize
        return stated.model_copy(update={"size": size, "resize": resize, "crop": crop})

    other: Literal["RGB", "BGR"] = "BGR" if stated.channels == "RGB" else "RGB"
    return [
        (f"channels exchanged ({other})", stated.model_copy(update={"channels": other})),
        ("mean and SD of ImageNet", of((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))),
        ("from −1 to 1", of((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))),
        ("from 0 to 1", of((0, 0, 0), (255, 255, 255))),
        ("from 0 to 255", of((0, 0, 0), (1, 1, 1))),
        ("half the size", sized(0.5)),
        ("twice the size", sized(2)),
    ]
