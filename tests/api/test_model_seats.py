"""What an integrator reads about a language model in a seat."""

from __future__ import annotations

from arbiter.api.protocols import protocol_out
from arbiter.protocols.loader import load_bundle
from tests.protocols.small import files
from tests.protocols.test_model_seats import WITH_MODELS


def test_a_model_seat_tells_what_answers_and_how_it_is_sampled_but_not_where() -> None:
    told = protocol_out(load_bundle(files(protocol=WITH_MODELS)).protocol).model_dump(mode="json")
    assert [seat["model"] is None for seat in told["seats"]] == [True, True, False, False]
    third, fourth = told["seats"][2:]
    assert third["backend"] == "vllm"
    assert third["model"] == {
        "name": "ward-8b", "revision": "4f2a1c", "weights_sha256": "0a" * 32, "adapter": "ward-lora",
        "dtype": "bfloat16", "quantisation": None, "prompt": "question-v1", "samples": 5, "temperature": "0.7", "top_p": "0.95",
        "max_tokens": 512,
    }  # fmt: skip
    assert (fourth["model"]["weights_sha256"], fourth["model"]["adapter"]) == (None, None)
    assert (fourth["model"]["temperature"], fourth["model"]["top_p"]) == ("0", "1")
