"""DeepFM in NumPy and OneFlow against a formula written here by itself."""

from __future__ import annotations

import numpy as np
import pytest

from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec, build, numpy_nn
from jdrec.models.initial import initial_weights

SPEC = ModelSpec(
    "deepfm",
    (FieldSpec("price", Encoding.NUMERIC, 1), FieldSpec("brand", Encoding.HASH, 5), FieldSpec("age", Encoding.BUCKET, 4)),
    embedding_dim=3,
    dnn=(8, 5),
    dropout=0.2,
)
SHAPES = {
    "dnn.0.weight": (8, 9),
    "dnn.0.bias": (8,),
    "dnn.3.weight": (5, 8),
    "dnn.3.bias": (5,),
    "dnn.6.weight": (1, 5),
    "dnn.6.bias": (1,),
}


def weights(dtype: type = np.float32) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {name: random.normal(0, 0.5, shape).astype(dtype) for name, shape in SHAPES.items()}


def inputs(rows: int = 7, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    scale = np.ones((rows, 3), dtype)
    scale[:, 0] = random.normal(size=rows)
    return random.normal(size=(rows, 3, 3)).astype(dtype), random.normal(size=(rows, 3)).astype(dtype), scale


def by_hand(vectors: np.ndarray, linear: np.ndarray, scale: np.ndarray | None, parameters: dict[str, np.ndarray]) -> np.ndarray:
    """The paper's formula pair by pair, in float64."""
    result = []
    for i in range(len(vectors)):
        factor = np.ones(3) if scale is None else scale[i].astype(np.float64)
        v = vectors[i].astype(np.float64) * factor[:, None]
        y = sum(factor[f] * linear[i, f] for f in range(3))
        y += v[0] @ v[1] + v[0] @ v[2] + v[1] @ v[2]
        h = np.concatenate(list(v))
        for layer in ("dnn.0", "dnn.3"):
            h = np.clip(parameters[f"{layer}.weight"].astype(np.float64) @ h + parameters[f"{layer}.bias"], 0, None)
        result.append(y + (parameters["dnn.6.weight"].astype(np.float64) @ h + parameters["dnn.6.bias"])[0])
    return np.array(result)[:, None]


def test_two_fields_by_literal_numbers() -> None:
    spec = ModelSpec("deepfm", (FieldSpec("a", Encoding.HASH, 2), FieldSpec("b", Encoding.HASH, 2)), 2, (1,), 0.0)
    model = build(numpy_nn, spec)
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


@pytest.mark.parametrize("scaled", [False, True])
def test_numpy_model_equals_the_formula(scaled: bool) -> None:
    vectors, linear, scale = inputs()
    model = build(numpy_nn, SPEC)
    model.load_state_dict(weights())
    given = scale if scaled else None
    np.testing.assert_allclose(model(vectors, linear, given), by_hand(vectors, linear, given, weights()), atol=1e-5)


@pytest.mark.oneflow
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("blas", [False, True])
def test_oneflow_model_equals_numpy(scaled: bool, blas: bool) -> None:
    from jdrec.training.oneflow_adapter import parameter_shapes, set_parameters
    from jdrec.training.oneflow_blas import blas_nn
    from jdrec.training.oneflow_library import load_oneflow

    flow = load_oneflow()
    model = build(blas_nn(flow) if blas else flow.nn, SPEC)
    assert parameter_shapes(model) == SHAPES
    set_parameters(flow, model, weights())
    model.eval()
    vectors, linear, scale = inputs(rows=300)
    reference = build(numpy_nn, SPEC)
    reference.load_state_dict(weights())
    given = scale if scaled else None
    result = model(flow.tensor(vectors), flow.tensor(linear), flow.tensor(scale) if scaled else None).numpy()
    np.testing.assert_allclose(result, reference(vectors, linear, given), atol=1e-5)
    np.testing.assert_allclose(result, by_hand(vectors, linear, given, weights()), atol=1e-5)


@pytest.mark.oneflow
@pytest.mark.parametrize("blas", [False, True])
def test_gradients_equal_finite_differences(blas: bool) -> None:
    """Of every parameter and every input, against central differences of the formula in float64."""
    from jdrec.training.oneflow_adapter import set_parameters
    from jdrec.training.oneflow_blas import blas_nn
    from jdrec.training.oneflow_library import load_oneflow

    flow = load_oneflow()
    parameters = weights()
    vectors, linear, scale = inputs(rows=4)
    model = build(blas_nn(flow) if blas else flow.nn, SPEC)
    set_parameters(flow, model, parameters)
    model.eval()
    leaves = {"vectors": flow.tensor(vectors, requires_grad=True), "linear": flow.tensor(linear, requires_grad=True)}
    model(leaves["vectors"], leaves["linear"], flow.tensor(scale)).sum().backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    gradients |= {name: leaf.grad.numpy() for name, leaf in leaves.items()}

    arrays = {name: value.astype(np.float64) for name, value in {**parameters, "vectors": vectors, "linear": linear}.items()}

    def total() -> float:
        return by_hand(arrays["vectors"], arrays["linear"], scale, arrays).sum()

    step = 1e-6
    for name, array in arrays.items():
        numeric = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            above = total()
            array[place] = kept - step
            numeric[place] = (above - total()) / (2 * step)
            array[place] = kept
        np.testing.assert_allclose(gradients[name], numeric, atol=2e-4, err_msg=name)


@pytest.mark.oneflow
def test_dropout_acts_in_training_only() -> None:
    from jdrec.training.oneflow_library import load_oneflow

    flow = load_oneflow()
    flow.manual_seed(0)
    model = build(flow.nn, SPEC)
    vectors, linear, _ = (flow.tensor(array) for array in inputs(rows=50))
    model.train()
    assert not np.array_equal(model(vectors, linear).numpy(), model(vectors, linear).numpy())
    model.eval()
    assert np.array_equal(model(vectors, linear).numpy(), model(vectors, linear).numpy())


def test_initial_weights_follow_the_seed() -> None:
    first, again, other = (initial_weights(SPEC, SHAPES, seed) for seed in (1, 1, 2))
    assert {name: array.shape for name, array in first.items()} == {"embedding.weight": (10, 4), **SHAPES}
    assert all(np.array_equal(first[name], again[name]) and first[name].dtype == np.float32 for name in first)
    assert not np.array_equal(first["dnn.0.weight"], other["dnn.0.weight"])
    assert not first["dnn.0.bias"].any()


def test_initial_weights_have_their_standard_deviations() -> None:
    spec = ModelSpec("deepfm", (FieldSpec("a", Encoding.HASH, 5000),), 16, (300,), 0.0)
    drawn = initial_weights(spec, {"w": (300, 500)}, seed=0)
    assert drawn["embedding.weight"].std() == pytest.approx(1e-4, rel=0.01)
    assert drawn["w"].std() == pytest.approx(0.05, rel=0.01)  # sqrt(2 / (300 + 500))


def test_a_missing_or_misshapen_weight_is_an_error() -> None:
    model = build(numpy_nn, SPEC)
    given = weights()
    del given["dnn.3.bias"]
    with pytest.raises(KeyError, match=r"dnn\.3\.bias"):
        model.load_state_dict(given)
    given["dnn.3.bias"] = np.zeros(6, np.float32)
    with pytest.raises(ValueError, match=r"dnn\.3\.bias has shape \(6,\), the model needs \(5,\)"):
        model.load_state_dict(given)
