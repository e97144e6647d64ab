"""Charts whose legends say which kind of line is which."""

from __future__ import annotations

import pandas as pd

from unitdb.browser import charts


def test_a_legend_of_kinds_of_lines_draws_them_as_lines() -> None:
    levels = pd.DataFrame({"level": [0.0, 1.0], "r": [0.1, 0.2], "side": "its original"})
    layers = pd.DataFrame({"depth": [1, 2], "r": [0.1, 0.2], "roi": "V1", "layer": ["a", "b"]})
    titles = {"x_title": "depth", "y_title": "r", "colour_title": "ROI", "dash_title": "Person"}
    drawn = {
        "Of": charts.by_level(levels.assign(of=["decoded", "noise"])),
        "Person": charts.profile(
            layers.assign(who=["S1", "S2"]),
            x="depth",
            colour="roi",
            colours=["V1"],
            dash="who",
            **titles,
        ),
    }
    for title, chart in drawn.items():
        lines, points = chart.to_dict()["layer"]
        legend = lines["encoding"]["strokeDash"]["legend"]
        assert (legend["title"], legend["symbolType"]) == (title, "stroke")
        assert "strokeDash" not in points["encoding"]  # whose legend would have dots
