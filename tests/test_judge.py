"""People's blind choices: rate, interval, and files that are something else."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from unitdb.cli import main
from unitdb.matching import judged_rate

HEADER = "release,dataset,condition,model,method,subject,source,stimulus,other,chosen,rater\n"


def run(*files):
    return CliRunner().invoke(main, ["judge", *map(str, files)])


def rows(choices, *, source="brain", rater="r1"):
    return "".join(
        f"r@1,d,c,n,m,mean,{source},p{number},q{number},{'p' if right else 'q'}{number},{rater}\n"
        for number, right in enumerate(choices)
    )


def test_a_rate_of_people_stands_beside_its_interval_and_chance(tmp_path):
    first, other = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(HEADER + rows([1] * 9 + [0]) + rows([1, 0] * 5, source="shuffled"))
    other.write_text("\ufeff" + HEADER + rows([1] * 7 + [0] * 3, rater="r2"))
    told = run(first, other)
    assert told.exit_code == 0, told.output
    brain, shuffled = (line.split() for line in told.output.splitlines()[1:])
    assert brain[:8] == ["r@1", "d", "c", "n", "m", "mean", "brain", "0.800"]
    assert brain[10:] == ["0.500", "20", "10", "2"]
    assert float(brain[8]) < 0.8 < float(brain[9])
    assert shuffled[7] == "0.500"


def test_the_interval_covers_the_rate_of_new_images_and_raters():
    rng = np.random.default_rng(0)
    covered, n = 0, 200
    for _ in range(n):
        easy, skilled = rng.normal(0, 1, 25), rng.normal(0, 0.5, 8)
        chance = 1 / (1 + np.exp(-(0.7 + easy[:, None] + skilled)))
        right = rng.random(chance.shape) < chance
        images, raters = np.meshgrid(np.arange(25), np.arange(8), indexing="ij")
        found = judged_rate(right.ravel(), images.ravel(), raters.ravel())
        covered += found.low <= RATE <= found.high
    assert covered / n > 0.88


_DRAWS = np.random.default_rng(1).normal(0, 1, (4000, 2)) * [1, 0.5]
RATE = float((1 / (1 + np.exp(-(0.7 + _DRAWS.sum(axis=1))))).mean())


def test_one_image_has_no_interval():
    found = judged_rate([True, False], ["a", "a"], ["r1", "r2"])
    assert found.rate == 0.5
    assert np.isnan(found.low)


@pytest.mark.robust(
    "pictures",
    given="a file of people's choices that lacks a column, repeats a judgement, or chooses a "
    "picture that was not shown",
    before="there was no such command",
    now="one error that names the file, the line and the value",
)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column 'release'"),
        ("a,b\n1,2\n", "no column 'release'"),
        (HEADER, "holds no choices"),
        (HEADER + rows([1]) * 2, "line 3: is the same judgement as"),
        (
            HEADER + "r@1,d,c,n,m,mean,brain,p,q,x,r1\n",
            "line 2: chosen is 'x', neither 'p'",
        ),
        (HEADER + "r@1,d,c,n,m,mean,brain,p,p,p,r1\n", "both pictures are 'p'"),
        (HEADER + "r@1,d,c,n,m,mean,brain,p,q,p,\n", "line 2: rater is empty"),
        (HEADER + "r@1,d,c,n,m,mean,brain,p,q,p\n", "line 2"),
    ],
)
def test_a_file_of_something_else_is_one_error(tmp_path, text, says):
    path = tmp_path / "choices.csv"
    path.write_text(text)
    told = run(path)
    assert told.exit_code == 2
    assert run(tmp_path / "absent.csv").exit_code == 2
    assert says in told.output
    assert len(told.output.splitlines()) == 1
