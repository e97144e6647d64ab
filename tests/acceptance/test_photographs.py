"""A network on a photograph of each class of ImageNet."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.conftest import succeed


@pytest.mark.whole
def test_a_thousand_photographs_are_answered_as_their_publisher_says(realdata):
    """76.5 % of them by EfficientNet-lite0; no change of the preprocessing is better."""
    folder = realdata / "imagenet1000"
    printed = succeed("models", "check", "efficientnet-lite0", "--photographs", folder)
    (share,) = re.findall(r"top-1 (\d+\.\d)% of these photographs", printed)
    assert float(share) == pytest.approx(76.5, abs=0.5)
    assert "better" not in printed.replace("beside", "")
