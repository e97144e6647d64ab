import numpy as np
import pytest
import scipy.stats

from unitdb.errors import DatasetError, UnknownNameError
from unitdb.responses import DatasetSpec, dataset_specs, open_dataset, simulated_truth
from unitdb.responses.simulation import simulate
from unitdb.responses.simulation_spec import SimulatedTest
from unitdb.responses.stimuli import crop_stimuli
from unitdb.specs import read_spec

N_UNITS = 40


@pytest.fixture(scope="module")
def spec():
    found = read_spec(dataset_specs()["sample"], DatasetSpec, DatasetError)
    seen = {"perception": found.responses.tests["perception"]}
    return found.model_copy(
        update={"responses": found.responses.model_copy(update={"tests": seen})}
    )


@pytest.fixture(scope="module")
def activations(spec):
    rng = np.random.default_rng(0)
    return {layer: rng.normal(size=(50, N_UNITS)) for layer in spec.responses.layers}


@pytest.fixture(scope="module")
def ids():
    return [f"train-{i:03d}" for i in range(1, 41)] + [f"test-{i:03d}" for i in range(1, 11)]


def test_the_same_seed_gives_the_same_bytes(spec, activations, ids):
    first, again = (simulate(spec, spec.responses, "sub-01", ids, activations) for _ in range(2))
    assert first.values.tobytes() == again.values.tobytes()
    other = simulate(spec, spec.responses, "sub-02", ids, activations)
    assert other.sha256 != first.sha256


def test_rois_have_realistic_sizes_and_hvc_holds_its_parts(spec, activations, ids):
    found = simulate(spec, spec.responses, "sub-01", ids, activations)
    for roi, wish in spec.responses.rois.items():
        assert found.rois[roi].sum() == pytest.approx(wish.n_voxels, rel=0.1)
    for part in ("LOC", "FFA", "PPA"):
        assert (found.rois["HVC"] & found.rois[part]).sum() == found.rois[part].sum()
    assert not (found.rois["V1"] & found.rois["V2"]).any()


def test_test_stimuli_are_repeated_with_fresh_noise(spec, activations, ids):
    found = simulate(spec, spec.responses, "sub-01", ids, activations)
    names, counts = np.unique(found.stimulus_ids, return_counts=True)
    repeats = {
        name: 1 if name.startswith("train") else spec.responses.tests["perception"].repeats
        for name in names
    }
    assert dict(zip(names, counts, strict=True)) == repeats
    presentations = found.values[found.stimulus_ids == "test-001"]
    assert np.abs(presentations[0] - presentations[1]).mean() > 0.5


def test_noise_is_smooth_over_neighbouring_voxels(spec, activations, ids):
    source = spec.responses.model_copy(update={"noise_correlation": 0.8, "noise": 100.0})
    found = simulate(spec, source, "sub-01", ids, activations).roi("V1")
    neighbours = [np.corrcoef(found[:, v], found[:, v + 1])[0, 1] for v in range(0, 600, 7)]
    distant = [np.corrcoef(found[:, v], found[:, v + 300])[0, 1] for v in range(0, 400, 7)]
    assert np.mean(neighbours) > 0.5
    assert abs(np.mean(distant)) < 0.15


def test_the_truth_prefers_deeper_layers_in_higher_areas(spec):
    truth = simulated_truth(spec.responses, dict.fromkeys(spec.responses.layers, N_UNITS))
    best = [int(np.argmax(truth.preference[roi])) for roi in ("V1", "V2", "V3", "V4", "LOC")]
    assert best == sorted(best)
    assert best[0] == 0
    for preference in truth.preference.values():
        assert preference.sum() == pytest.approx(1)


def test_crops_of_train_and_test_come_from_different_photographs(spec):
    stimuli = crop_stimuli(spec.stimuli)
    assert len(stimuli) == 300
    photographs = {
        split: {
            source.split()[0]
            for name, source in zip(stimuli.ids, stimuli.sources, strict=True)
            if name.startswith(split)
        }
        for split in ("train", "test")
    }
    assert not photographs["train"] & photographs["test"]
    assert len(set(stimuli.sha256s())) == 300
    assert stimuli.image(0).shape == (224, 224, 3)


def test_an_unknown_photograph_is_refused(spec):
    wrong = spec.stimuli.model_copy(
        update={"photographs": spec.stimuli.photographs | {"test": ["chelsae"]}}
    )
    with pytest.raises(UnknownNameError, match="did you mean 'chelsea'"):
        crop_stimuli(wrong)


def test_measured_responses_cannot_be_called_simulated(tmp_path, spec):
    text = dataset_specs()["sample"].read_text().replace("simulated: true", "simulated: false")
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DatasetError, match="`simulated` must be true for simulated responses"):
        open_dataset(str(tmp_path / "dataset.yaml"), data=None, cache=tmp_path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"targets": "categories"}, "of pictures"),
        ({"windows": {"from": 0, "to": 6, "step": 2}}, "`windows` and `course` belong together"),
        ({"course": {"seconds": 6}}, "`windows` and `course` belong together"),
        ({"windows": {"from": 0, "to": 6}, "course": {"seconds": 6}}, "a number of seconds"),
        ({"pattern": "imagenet"}, "`pattern` and `names`: stimuli .* have names"),
        ({"repeats": 10**12}, "less than or equal to 10000"),
        ({"names": "names.csv"}, "`pattern` and `names`: stimuli .* have names"),
    ],
)
def test_what_simulated_test_sets_do_not_have_is_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        SimulatedTest.model_validate(keys)


def with_course(spec, **course):
    """The simulation with an imagery test set of windows."""
    windows = {"from": -4, "to": 20, "step": 2}
    test = SimulatedTest.model_validate(
        {"repeats": 1, "noise": 0, "windows": windows, "course": {"seconds": 6, **course}}
    )
    tests = {"perception": spec.responses.tests["perception"], "imagery": test}
    return spec.responses.model_copy(update={"tests": tests})


def test_voxels_of_each_layer_follow_a_response_with_its_lag(spec, activations, ids):
    source = with_course(spec, lags={"stem": 2.0})
    found = simulate(spec, source, "sub-01", ids, activations, tests=["imagery@*"])
    times = [test.time for test in found.tests.values()]
    assert times == list(range(-4, 21, 2))
    values = np.stack([found.values[found.split == f"imagery@{time:+g}s"] for time in times])
    size = np.abs(values).mean(axis=1)  # times × voxels
    highest = size.max(axis=0)
    assert not size[[0, 1, 2]].any()  # nothing before onset, and nothing at it
    # Late voxels are as the others one step later.
    late = size.argmax(axis=0) == times.index(10)
    assert 0 < late.mean() < 0.5
    assert (size.argmax(axis=0)[~late] == times.index(8)).all()
    course = size / highest
    np.testing.assert_allclose(
        course[3:, late].mean(axis=1), course[2:-1, ~late].mean(axis=1), atol=0.02
    )
    fine = np.arange(0, 40, 0.01)
    density = scipy.stats.gamma.pdf(fine, 6) - scipy.stats.gamma.pdf(fine, 16) / 6
    response = np.convolve(density, np.ones(600))[: len(fine)]
    expected = np.interp(times, fine, response / response.max(), left=0)
    np.testing.assert_allclose(course[:, ~late].mean(axis=1), np.abs(expected), atol=0.02)


def test_what_is_there_does_not_change_with_a_course_beside_it(spec, activations, ids):
    alone = spec.responses.model_copy(
        update={"tests": {"perception": spec.responses.tests["perception"]}}
    )
    both = [
        simulate(spec, source, "sub-02", ids, activations, tests=["perception"])
        for source in (alone, with_course(spec))
    ]
    assert both[0].values.tobytes() == both[1].values.tobytes()
    with pytest.raises(UnknownNameError, match=r"imagery@\+5s"):
        simulate(spec, with_course(spec), "sub-02", ids, activations, tests=["imagery@+5s"])


def blurred_set(**more):
    return SimulatedTest(shown=["*._1"], targets={"ending": "._1", "by": ""}, noise=0, **more)


def with_set(spec, part):
    tests = {"perception": SimulatedTest(noise=0, repeats=1), "blurred": part}
    source = spec.responses.model_copy(update={"tests": tests})
    return spec.model_copy(update={"responses": source})


@pytest.mark.parametrize("sharpening", [0.0, 0.3, 1.0])
def test_sharpening_mixes_the_signal_of_the_original_into_that_of_a_version(
    spec, activations, ids, sharpening
):
    rng = np.random.default_rng(1)
    made = [f"test-{i:03d}._1" for i in (2, 5, 7)]
    of = [ids.index(name[:-3]) for name in made]
    more = {
        k: np.concatenate([v, v[of] + rng.normal(size=(3, 40))]) for k, v in activations.items()
    }
    originals = {name: name[:-3] for name in made}

    def values(part):
        own = with_set(spec, blurred_set(sharpening=part, repeats=1))
        names = [*ids, *made]
        return simulate(own, own.responses, "sub-01", names, more, originals=originals)

    found, forward = values(sharpening), values(0)
    blurred, sharp = found.values[found.split == "blurred"], forward.values
    assert found.stimulus_ids[found.split == "blurred"].tolist() == made
    assert found.target_ids[found.split == "blurred"].tolist() == [name[:-3] for name in made]
    of_originals = np.stack([sharp[(forward.stimulus_ids == n[:-3])][0] for n in made])
    expected = (1 - sharpening) * sharp[forward.split == "blurred"] + sharpening * of_originals
    np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_versions_change_no_response_to_other_pictures(spec, activations, ids):
    alone = simulate(spec, spec.responses, "sub-01", ids, activations)
    more = {k: np.concatenate([v, 3 * v[:2] + 1]) for k, v in activations.items()}
    names, originals = [*ids, "train-001._1", "train-002._1"], {}
    originals = {"train-001._1": "train-001", "train-002._1": "train-002"}
    beside = simulate(spec, spec.responses, "sub-01", names, more, originals=originals)
    assert beside.sha256 == alone.sha256


def test_a_set_that_shows_nothing_is_refused(spec, activations, ids):
    own = with_set(spec, blurred_set())
    with pytest.raises(DatasetError, match=r"no stimulus fits \*\._1"):
        simulate(own, own.responses, "sub-01", ids, activations)
