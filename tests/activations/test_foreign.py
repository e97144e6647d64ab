"""Whatever the code of a user's network raises is one line that says where."""

from __future__ import annotations

import pytest

from tests.activations.conftest import SOURCE, write_model
from unitdb.activations import load_model
from unitdb.errors import ActivationsError, ModelError

MAKE = "    return Tiny(channels)"
FORWARD = "        x = self.conv2("

CASES = {
    "import": ("import torch\n", "from torch import nothing\n", "ImportError: cannot import name"),
    "key": ("import torch\n", "import torch\n{}['x']\n", r"KeyError: 'x' \(.*tiny.py:\d+\)"),
    "exit": ("import torch\n", "import sys, torch\nsys.exit(3)\n", "SystemExit: 3"),
    "syntax": ("import torch\n", "import torch\nif\n", "SyntaxError: invalid syntax"),
    "factory": (MAKE, "    raise OSError('no weights')", r"OSError: no weights \(.*tiny.py:\d+\)"),
    "factory exits": (MAKE, "    raise SystemExit(3)", "SystemExit: 3"),
    "lines": (MAKE, "    raise ValueError('a\\n\\n b')", "ValueError: a b "),
    "assertion": (FORWARD, "        assert False\n" + FORWARD, r"AssertionError \(.*tiny.py:\d+\)"),
    "index": (FORWARD, "        [][1]\n" + FORWARD, r"shape \(2, 3, 4, 4\): IndexError: list"),
    "forward exits": (FORWARD, "        exit(1)\n" + FORWARD, "SystemExit: 1"),
    "sizes": (FORWARD, "        x @ x[:, :, :1]\n" + FORWARD, r"RuntimeError.*tiny.py:\d+\)"),
}


@pytest.mark.robust(
    "networks",
    given="a factory or a forward that raises any error, an import that fails, `sys.exit(3)`",
    before="a traceback; of an exit nothing, with code 3",
    now="one line: type and text of the error, file and line",
)
@pytest.mark.parametrize("case", CASES)
def test_errors_of_a_users_code(tmp_path, case):
    old, new, message = CASES[case]
    assert old in SOURCE
    spec = write_model(tmp_path, SOURCE.replace(old, new, 1))
    with pytest.raises(ModelError, match=f"model 'tiny': .*{message}") as caught:
        load_model(spec, folder=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.robust(
    "networks",
    given="a layer that gives a sparse or quantised tensor, a tuple, a dictionary or nothing",
    before="a traceback of torch for the first two",
    now="one line that names the layer and what to name instead",
)
@pytest.mark.parametrize(
    ("gives", "message"),
    [
        ("x.to_sparse()", "is sparse or nested"),
        ("torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)", "is quantised"),
        ("(x,)", "returns tuple"),
        ("{'x': x}", "returns dict"),
        ("None", "returns NoneType"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_layers_that_give_no_plain_tensor(tmp_path, gives, message):
    source = SOURCE.replace("x = self.conv2(", "x = self.odd(self.conv2(").replace(
        "conv1(x)))\n", "conv1(x))))\n"
    )
    source = source.replace("self.drop = ", "self.odd = Odd()\n        self.drop = ").replace(
        "class Tiny",
        f"class Odd(nn.Module):\n    def forward(self, x):\n        return {gives}\n\n\nclass Tiny",
    )
    with pytest.raises(ActivationsError, match=f"layer 'odd'.* {message}"):
        load_model(write_model(tmp_path, source, layers={"odd": "odd"}), folder=tmp_path)
