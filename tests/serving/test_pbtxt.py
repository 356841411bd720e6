"""config.pbtxt: the tutorial's message, value for value, and YAML that cannot break out of its place."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.config import DynamicBatchingConfig, TritonConfig
from jdrec.errors import ConfigError
from jdrec.serving.pbtxt import quote, render
from tests.serving.small_definitions import with_fields

WIDE = with_fields(13, 28)
ONEFLOW = TritonConfig(backend="oneflow", instance_kind="KIND_GPU", gpus=[0])
TUTORIAL = {
    "name": "embedding",
    "backend": "oneflow",
    "max_batch_size": 10000,
    "input": [{"name": "INPUT_0", "data_type": "TYPE_INT64", "dims": ["41"]}],
    "output": [{"name": "OUTPUT_0", "data_type": "TYPE_FP32", "dims": ["1"]}],
    "instance_group": [{"count": 1, "kind": "KIND_GPU", "gpus": [0]}],
}


def parse(text: str) -> dict:
    """The message as Triton reads it, by way of the client's own protobuf."""
    pytest.importorskip("tritonclient.grpc", reason="needs the dev extra")
    from google.protobuf import json_format, text_format
    from tritonclient.grpc import model_config_pb2

    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def test_the_tutorials_message():
    assert parse(render(WIDE, ONEFLOW)) == TUTORIAL


def test_the_python_backend_changes_backend_and_instance_group_only():
    message = parse(render(WIDE, TritonConfig()))
    assert message == {**TUTORIAL, "backend": "python", "instance_group": [{"count": 1, "kind": "KIND_CPU"}]}


def test_dynamic_batching_is_a_key():
    batching = DynamicBatchingConfig(preferred_batch_sizes=[4, 64], max_queue_delay_us=200)
    message = parse(render(with_fields(1, 1), TritonConfig(dynamic_batching=batching)))
    assert message["dynamic_batching"] == {"preferred_batch_size": [4, 64], "max_queue_delay_microseconds": "200"}
    empty = parse(render(with_fields(1, 1), TritonConfig(dynamic_batching=DynamicBatchingConfig())))
    assert empty["dynamic_batching"] == {}


def test_a_persistent_table_path_becomes_a_parameter():
    message = parse(render(WIDE, msgspec.structs.replace(ONEFLOW, persistent_table_path="/models/persistent/0-1")))
    assert message["parameters"] == {"one_embedding_persistent_table_path": {"string_value": "/models/persistent/0-1"}}


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_no_text_breaks_out_of_its_quotes(text):
    triton = msgspec.structs.replace(ONEFLOW, persistent_table_path=text)
    message = parse(render(WIDE, triton))
    assert message.pop("parameters") == {"one_embedding_persistent_table_path": {"string_value": text}}
    assert message == TUTORIAL


def test_quoting():
    assert quote('a"] }\n\\x') == '"a\\"] }\\n\\\\x"'


@pytest.mark.parametrize(
    ("triton", "path"),
    [
        (TritonConfig(gpus=[0]), "serving.triton.gpus"),
        (TritonConfig(persistent_table_path="/p"), "serving.triton.persistent_table_path"),
        (
            TritonConfig(max_batch_size=8, dynamic_batching=DynamicBatchingConfig(preferred_batch_sizes=[4, 16])),
            "serving.triton.dynamic_batching.preferred_batch_sizes",
        ),
    ],
)
def test_contradictions_are_errors_with_their_place(triton, path):
    with pytest.raises(ConfigError) as error:
        render(with_fields(1, 1), triton)
    assert error.value.where == path


def test_a_model_without_fields_is_an_error():
    with pytest.raises(ConfigError, match="No feature is a field"):
        render(with_fields(0, 0), TritonConfig())


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b"])
def test_a_model_name_is_a_plain_folder_name(name):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"model": name}, TritonConfig)
