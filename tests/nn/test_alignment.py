"""The loss beside numpy: correlations, and CKA as Kornblith et al. and Song et al. write it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from tests.nn.conftest import LAYERS, Net, images, ready
from unitdb import col, nn
from unitdb.errors import AnalysisError, QueryError
from unitdb.nn import AlignmentLoss

KINDS = ["units", "cka", "cka-debiased"]


def of(n_units: int, **options) -> AlignmentLoss:
    """A loss for units of one made-up layer, with weights 1, 2, … before they are scaled."""
    loss = AlignmentLoss({"layer": torch.ones(n_units, dtype=torch.bool)}, **options)
    loss.weights = torch.arange(1, n_units + 1, dtype=torch.float64)
    loss.weights /= loss.weights.sum()
    return loss


def z(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def correlations(student: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    rho = [np.corrcoef(s, t)[0, 1] for s, t in zip(student.T, target.T, strict=True)]
    return 1 - float(weights @ rho)


def cka(student: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """Kornblith et al. (2019), eq. 5, of features, with the teacher's scaled by √w."""
    x = student - student.mean(axis=0)
    y = z(target) * np.sqrt(weights)
    cross, own = np.linalg.norm(y.T @ x) ** 2, [np.linalg.norm(a.T @ a) for a in (x, y)]
    return 1 - cross / (own[0] * own[1])


def debiased(student: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """Song et al. (2012), eq. 5, term by term."""

    def hsic(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
        n = len(k)
        k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
        one = np.ones(n)
        return (
            np.trace(k @ l)
            + one @ k @ one * (one @ l @ one) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * (one @ k @ l @ one)
        ) / (n * (n - 3))

    x, y = student - student.mean(axis=0), z(target) * np.sqrt(weights)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    return 1 - hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


REFERENCES = {"units": correlations, "cka": cka, "cka-debiased": debiased}


@pytest.mark.parametrize("kind", KINDS)
@given(
    n_images=st.integers(5, 12),
    n_units=st.integers(1, 6),
    n_student=st.integers(1, 9),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_it_is_the_formula(kind, n_images, n_units, n_student, seed, scale):
    rng = np.random.default_rng(seed)
    target = rng.normal(3, 1, (n_images, n_units)) * scale
    student = rng.normal(2, 1, (n_images, n_units if kind == "units" else n_student)) / scale
    loss = of(n_units, kind=kind)
    found = loss(torch.from_numpy(student), torch.from_numpy(target))
    expected = REFERENCES[kind](student, target, loss.weights.numpy())
    assert float(found) == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind):
    student = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(6, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(of(4, kind=kind), (student, target))


@pytest.mark.parametrize("kind", KINDS)
def test_constant_columns_give_no_nan(kind):
    student = torch.randn(6, 3, dtype=torch.float64)
    target = torch.randn(6, 3, dtype=torch.float64)
    student[:, 0], target[:, 2] = 0.1, 0.3
    student.requires_grad_()
    value = of(3, kind=kind)(student, target)
    value.backward()
    assert value.isfinite()
    assert student.grad.isfinite().all()
    if kind == "units":  # 0 for what does not vary: of three weights, that of the second is left
        rho = np.corrcoef(student.detach()[:, 1], target[:, 1])[0, 1]
        assert value.item() == pytest.approx(1 - rho * 2 / 6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_that_does_not_vary_at_all(kind):
    student = torch.zeros(6, 3, requires_grad=True)
    value = of(3, kind=kind)(student, torch.randn(6, 3))
    value.backward()
    assert value.item() == 1
    assert student.grad.isfinite().all()


def test_what_leaves_it_as_it_is():
    target = torch.randn(8, 5, dtype=torch.float64)
    moved = target * torch.tensor([1.0, 2, 3, 4, 5]) + 7
    assert float(of(5, kind="units")(moved, target)) == pytest.approx(0, abs=1e-12)
    assert float(of(5, kind="units")(-moved, target)) == pytest.approx(2)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    student = torch.randn(8, 4, dtype=torch.float64)
    for kind in ("cka", "cka-debiased"):
        loss = of(5, kind=kind)
        assert torch.allclose(loss(student @ rotation * 3 + 1, target), loss(student, target))
        own = (target - target.mean(0)) / target.std(0, correction=0) * loss.weights.sqrt()
        assert float(loss(own, target)) == pytest.approx(0, abs=1e-12)


def test_only_the_debiased_one_is_one_where_nothing_is_in_common():
    rng = torch.Generator().manual_seed(0)
    losses = {"cka": [], "cka-debiased": []}
    for _ in range(50):
        student, target = (torch.randn(16, 100, generator=rng) for _ in range(2))
        for kind, values in losses.items():
            values.append(float(of(100, kind=kind)(student, target)))
    assert np.mean(losses["cka"]) < 0.3
    assert abs(np.mean(losses["cka-debiased"]) - 1) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_descent_reaches_the_teacher(kind):
    target = torch.randn(12, 3)
    student = torch.randn(12, 3 if kind == "units" else 2, requires_grad=True)
    loss = of(3, kind=kind)
    first = loss(student, target).item()
    optimiser = torch.optim.Adam([student], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        value = loss(student, target)
        value.backward()
        optimiser.step()
    assert value.item() < first / 4


def test_weights_are_accuracies_clipped_and_in_the_order_of_the_columns(net, release):
    units = release.units(dataset="sim-a", roi="V1").where(col.n_subjects > 0)
    rows = units.to_pandas().set_index("unit_id")["mean_r"]
    assert (rows < 0).any()
    loss = AlignmentLoss(units, teacher=net, layers=LAYERS)
    expected = rows[list(loss.teacher.unit_ids)].clip(lower=0)
    np.testing.assert_allclose(loss.weights, expected / expected.sum(), rtol=1e-5)
    equal = AlignmentLoss(units, by=None)
    assert torch.allclose(equal.weights, torch.full((27,), 1 / 27))


def test_a_unit_of_weight_zero_does_not_count():
    loss = of(3, kind="cka")
    loss.weights[1] = 0
    student, target = torch.randn(8, 4).double(), torch.randn(8, 3).double()
    other = target.clone()
    other[:, 1] = torch.randn(8)
    assert torch.equal(loss(student, target), loss(student, other))


def test_the_teacher_stays_in_evaluation_and_gives_no_gradients(net, units):
    loss = AlignmentLoss(units, teacher=net, layers=LAYERS).train()
    assert loss.training
    assert not net.features[1].training
    batch = images(6)
    target = loss.target(batch)
    assert not target.requires_grad
    expected = nn.SelectedActivations(net, units, layers=LAYERS)(batch)
    assert torch.equal(target, expected)


def test_a_model_under_training_is_pulled_towards_its_teacher(net, units):
    student = nn.SelectedActivations(ready(Net()), units, layers=LAYERS).train()
    loss = AlignmentLoss(
        units, teacher=nn.SelectedActivations(net, units, layers=LAYERS), kind="units"
    )
    batch = images(40)
    target = loss.target(batch)
    optimiser = torch.optim.Adam(student.parameters(), lr=0.02)
    values = []
    for _ in range(60):
        optimiser.zero_grad()
        values.append(loss(student(batch), target))
        values[-1].backward()
        optimiser.step()
    assert values[-1].item() < values[0].item() / 2


def test_maps_are_flattened():
    loss = of(4)
    student, target = torch.randn(5, 2, 3, 3), torch.randn(5, 4)
    assert torch.equal(loss(student, target), loss(student.flatten(1), target))


def test_what_is_refused(net, units, release):
    with pytest.raises(AnalysisError, match="'rsa' is none of 'cka'"):
        AlignmentLoss(units, kind="rsa")
    with pytest.raises(AnalysisError, match="no teacher was given"):
        AlignmentLoss(units).target(images())
    few = nn.SelectedActivations(net, units.top(3), layers=LAYERS)
    with pytest.raises(AnalysisError, match="gives 3 units, and 15 are chosen"):
        AlignmentLoss(units, teacher=few)
    with pytest.raises(QueryError, match="no chosen unit has a mean_r above 0"):
        AlignmentLoss(release.units(dataset="sim-a", roi="V1").where(col.mean_r < 0))
    with pytest.raises(QueryError, match="holds no unit"):
        AlignmentLoss({"fc": torch.zeros(10, dtype=torch.bool)})
    with pytest.raises(QueryError, match="have no mean_r"):
        AlignmentLoss(release.units(dataset="sim-a", roi="V1"))
    assert len(AlignmentLoss(release.units(dataset="sim-a", roi="V1"), missing=0).weights) == 28


@pytest.mark.parametrize(
    ("kind", "student", "target", "message"),
    [
        ("cka", (5, 2), (5, 3), r"target has shape \(5, 3\).* 4\)"),
        ("cka", (5, 2), (6, 4), "student has 5 images, and target 6"),
        ("cka", (2, 2), (2, 4), "2 images are too few"),
        ("cka-debiased", (3, 2), (3, 4), "at least 4"),
        ("units", (5, 3), (5, 4), "student has 3 units, and target 4"),
    ],
)
def test_shapes_that_do_not_fit(kind, student, target, message):
    with pytest.raises(AnalysisError, match=message):
        of(4, kind=kind)(torch.zeros(student), torch.zeros(target))
