"""Every model in NumPy, PyTorch and OneFlow against its formula, and its gradients against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jdrec.features.spec import Encoding
from jdrec.models import BUILDERS, FieldSpec, ModelSpec, build, numpy_nn
from jdrec.models.initial import initial_weights
from jdrec.models.namespace import namespace
from jdrec.training.dropout import Draws
from jdrec.training.hidden_layers import oneflow_hidden, torch_hidden
from tests.models.formulas import SHAPES, by_hand, inputs, parameters, spec

FRAMEWORKS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("oneflow", marks=pytest.mark.oneflow)]


def framework(name: str) -> Any:
    if name == "torch":
        from jdrec.training.torch_library import load_torch

        return load_torch()
    from jdrec.training.oneflow_library import load_oneflow

    return load_oneflow()


def module(flow: Any, model: ModelSpec, seed: int = 5) -> Any:
    """As training on the CPU has it."""
    if flow.__name__ == "torch":
        return build(namespace(flow, hidden=torch_hidden(flow, Draws(seed))), model)
    return build(namespace(flow, hidden=oneflow_hidden(flow, Draws(seed))), model)


def set_parameters(flow: Any, made: Any, values: dict[str, np.ndarray]) -> None:
    with flow.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(flow.tensor(values[name]))


def test_two_fields_by_literal_numbers() -> None:
    two = ModelSpec("deepfm", (FieldSpec("a", Encoding.HASH, 2), FieldSpec("b", Encoding.HASH, 2)), 2, (1,), 0.0)
    model = build(numpy_nn, two)
    model.load_state_dict(
        {
            "dnn.0.weight": np.array([[1, 0, 0, -1]], np.float32),
            "dnn.0.bias": np.array([0.5], np.float32),
            "dnn.3.weight": np.array([[2]], np.float32),
            "dnn.3.bias": np.array([0.25], np.float32),
        }
    )
    vectors = np.array([[[1, 2], [3, 0]], [[0, 1], [1, 4]]], np.float32)
    linear = np.array([[0.5, 0.25], [1, 1]], np.float32)
    # linear 0.75 + dot 3 + 2 * relu(1 - 0 + 0.5) + 0.25 = 7; linear 2 + dot 4 + 2 * relu(0 - 4 + 0.5) + 0.25 = 6.25
    assert model(vectors, linear).tolist() == [[7.0], [6.25]]


def test_every_model_is_tested() -> None:
    assert SHAPES.keys() == BUILDERS.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_numpy_model_equals_the_formula(name: str) -> None:
    vectors, linear = inputs()
    model = build(numpy_nn, spec(name))
    model.load_state_dict(parameters(name))
    np.testing.assert_allclose(model(vectors, linear), by_hand(name, vectors, linear, parameters(name)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("where", FRAMEWORKS)
def test_framework_model_equals_the_formula(name: str, where: str) -> None:
    flow = framework(where)
    model = module(flow, spec(name))
    assert {key: tuple(value.shape) for key, value in model.named_parameters()} == SHAPES[name]
    set_parameters(flow, model, parameters(name))
    model.eval()
    vectors, linear = inputs(rows=300)
    result = model(flow.tensor(vectors), flow.tensor(linear)).detach().numpy()
    np.testing.assert_allclose(result, by_hand(name, vectors, linear, parameters(name)), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("where", FRAMEWORKS)
def test_gradients_with_dropout_equal_differences(name: str, where: str) -> None:
    """Of a dozen numbers of every parameter and every input, against central differences of the same network in float64, its dropout on."""
    flow = framework(where)
    model = module(flow, spec(name, dropout=0.4)).to(flow.float64)
    arrays = {key: value.astype(np.float64) for key, value in parameters(name).items()}
    arrays["vectors"], arrays["linear"] = inputs(rows=4, dtype=np.float64)
    model.train()

    def total(leaves: dict[str, Any]) -> Any:
        set_parameters(flow, model, arrays)
        return model(leaves["vectors"], leaves["linear"]).sum()

    leaves = {key: flow.tensor(arrays[key], requires_grad=True) for key in ("vectors", "linear")}
    total(leaves).backward()
    gradients = {key: value.grad for key, value in [*model.named_parameters(), *leaves.items()] if value.grad is not None}
    dropped = by_hand(name, *inputs(rows=4), parameters(name)).sum() != pytest.approx(float(total(leaves).detach().numpy()))
    assert dropped == (name not in ("lr", "fm"))

    step, random = 1e-6, np.random.default_rng(0)
    for key, array in arrays.items():
        places = random.permutation(list(np.ndindex(array.shape)))[:12]
        numeric = []
        for place in map(tuple, places):
            kept, sums = array[place], []
            for moved in (kept + step, kept - step):
                array[place] = moved
                with flow.no_grad():
                    sums.append(float(total({leaf: flow.tensor(arrays[leaf]) for leaf in ("vectors", "linear")}).numpy()))
            array[place] = kept
            numeric.append((sums[0] - sums[1]) / (2 * step))
        found = gradients[key].numpy() if key in gradients else np.zeros(array.shape)
        found = np.array([found[tuple(place)] for place in places])
        np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-6, err_msg=key)


def test_initial_weights_follow_the_seed() -> None:
    shapes = SHAPES["deepfm"]
    first, again, other = (initial_weights(spec("deepfm"), shapes, seed) for seed in (1, 1, 2))
    assert {name: array.shape for name, array in first.items()} == {"embedding.weight": (10, 4), **shapes}
    assert all(np.array_equal(first[name], again[name]) and first[name].dtype == np.float32 for name in first)
    assert not np.array_equal(first["dnn.0.weight"], other["dnn.0.weight"])
    assert not first["dnn.0.bias"].any()


def test_initial_weights_have_their_standard_deviations() -> None:
    large = ModelSpec("deepfm", (FieldSpec("a", Encoding.HASH, 5000),), 16, (300,), 0.0)
    drawn = initial_weights(large, {"w": (300, 500)}, seed=0)
    assert drawn["embedding.weight"].std() == pytest.approx(1e-4, rel=0.01)
    assert drawn["w"].std() == pytest.approx(0.05, rel=0.01)  # sqrt(2 / (300 + 500))


def test_a_missing_or_misshapen_weight_is_an_error() -> None:
    model = build(numpy_nn, spec("deepfm"))
    given = parameters("deepfm")
    del given["dnn.3.bias"]
    with pytest.raises(KeyError, match=r"dnn\.3\.bias"):
        model.load_state_dict(given)
    given["dnn.3.bias"] = np.zeros(7, np.float32)
    with pytest.raises(ValueError, match=r"dnn\.3\.bias has shape \(7,\), the model needs \(6,\)"):
        model.load_state_dict(given)
