"""A seat is proven by what answers, and by nothing that a server says of its health: a fault a row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import ConfigurationError
from arbiter.fleet.checking import Proof, check, seats_of
from arbiter.fleet.judging import Check, State
from arbiter.fleet.weights import Hasher, weights_sha256
from arbiter.question import ModelSpec
from tests.fleet.files import a_fleet
from tests.fleet.specs import a_model, a_protocol, a_spec, an_adapter
from tests.fleet.stand_in import BASE, StandIn, a_stand_in
from tests.system.service import free_port

CHAT = "/v1/chat/completions"
SECONDS = 10.0
HANGING_SECONDS = 1.0


@dataclass
class Ground:
    """Stand-ins that serve two adapters from folders that are there, as the fleet file and the protocol say."""

    folder: Path
    replicas: list[StandIn]
    server: dict[str, Any] = field(default_factory=dict)
    token: str | None = None

    @property
    def one(self) -> StandIn:
        return self.replicas[0]

    def spec(self, name: str = "respiratory", **changes: Any) -> ModelSpec:
        weights = weights_sha256(self.folder / "model", self.folder / "adapters" / name)
        return a_spec(name, **{"weights_sha256": weights, **changes})

    async def check(
        self, *specs: ModelSpec, only: tuple[str, ...] = (), serve: bool = True
    ) -> tuple[Proof, ...]:
        more = dict(self.server)
        if serve:
            more["serve"] = {
                "build": "cpu",
                "python": "/opt/vllm/bin/python",
                "model": str(self.folder / "model"),
                "adapters": {
                    name: str(self.folder / "adapters" / name) for name in ("respiratory", "circulation")
                },
            }
        fleet = a_fleet({"gpu-a": [replica.url for replica in self.replicas]}, **more)
        seats = seats_of(fleet, [a_protocol(*(specs or (self.spec(),)))])
        hanging = any({"hang", "drip"} & {*replica.faults.values()} for replica in self.replicas)
        seconds = HANGING_SECONDS if hanging else SECONDS
        return await check(seats, self.token, Hasher(), only=only, seconds=seconds)

    async def one_proof(self, spec: ModelSpec | None = None, **how: Any) -> Proof:
        (proof,) = await self.check(*(() if spec is None else (spec,)), **how)
        return proof


@asynccontextmanager
async def grounds(folder: Path, replicas: int) -> AsyncIterator[Ground]:
    a_model(folder / "model")
    for name in ("respiratory", "circulation"):
        an_adapter(folder / "adapters" / name, content=name.encode())
    async with AsyncExitStack() as stack:
        standing = [
            StandIn().adapters(
                "respiratory", "circulation", root=str(folder / "adapters"), base=str(folder / "model")
            )
            for _ in range(replicas)
        ]
        yield Ground(folder, [await stack.enter_async_context(a_stand_in(one)) for one in standing])


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, 1) as made:
        yield made


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, 2) as made:
        yield made


def state_of(proof: Proof, what: Check) -> State:
    (line,) = [line for line in proof.lines if line.check is what]
    return line.state


async def test_what_is_as_the_files_say_is_proven_in_every_respect(ground: Ground) -> None:
    proof = await ground.one_proof()
    assert {line.check: line.state for line in proof.lines} == dict.fromkeys(Check, State.PROVEN)
    assert proof.state is State.PROVEN
    assert proof.cause == ""
    assert ground.one.seen[f"{CHAT} respiratory"] == 1, "by a completion that came now"


async def test_every_seat_is_proven_at_every_replica(pair: Ground) -> None:
    proofs = await pair.check(pair.spec("respiratory"), pair.spec("circulation"))
    assert [(proof.expected.model.name, proof.replica.name) for proof in proofs] == [
        ("respiratory", "gpu-a-1"),
        ("respiratory", "gpu-a-2"),
        ("circulation", "gpu-a-1"),
        ("circulation", "gpu-a-2"),
    ]
    assert {proof.state for proof in proofs} == {State.PROVEN}


async def test_two_seats_of_one_model_ask_it_once(ground: Ground) -> None:
    proofs = await ground.check(ground.spec(), ground.spec(samples=1))
    assert len(proofs) == 2
    assert ground.one.seen[CHAT] == 1


async def test_one_replica_can_be_checked_alone(pair: Ground) -> None:
    (proof,) = await pair.check(only=("gpu-a-2",))
    assert proof.replica.name == "gpu-a-2"
    assert not pair.one.seen


async def test_a_base_that_stands_alone_is_proven(ground: Ground) -> None:
    ground.one.base("big", root=str(ground.folder / "model"))
    weights = weights_sha256(ground.folder / "model")
    spec = a_spec("big", adapter=None, weights_sha256=weights)
    assert (await ground.one_proof(spec, serve=False)).state is State.PROVEN


async def test_the_servers_key_is_given(ground: Ground) -> None:
    ground.token = "a-made-up-key"
    assert (await ground.one_proof()).state is State.PROVEN
    assert ground.one.keys == {"Bearer a-made-up-key"}


FAULTS: list[tuple[str, Callable[[Ground], object], Check, State, str]] = [
    ("dead engine behind green health", lambda g: g.one.faults.update({CHAT: 500}), Check.ANSWER, State.SILENT, "status 500"),
    ("engine that stands still", lambda g: g.one.faults.update({CHAT: "hang"}), Check.ANSWER, State.SILENT, "in time"),
    ("reply that drips", lambda g: g.one.faults.update({CHAT: "drip"}), Check.ANSWER, State.SILENT, "in time"),
    ("reply that breaks off", lambda g: g.one.faults.update({CHAT: "break off"}), Check.ANSWER, State.SILENT, "broke off"),
    ("completion that is none", lambda g: g.one.faults.update({CHAT: b"{}"}), Check.ANSWER, State.SILENT, "no completion"),
    ("no JSON", lambda g: g.one.faults.update({CHAT: b"<html>"}), Check.ANSWER, State.SILENT, "no completion"),
    (
        "no choice",
        lambda g: g.one.faults.update({CHAT: b'{"model":"respiratory","choices":[]}'}),
        Check.ANSWER,
        State.SILENT,
        "did not end",
    ),
    (
        "two choices",
        lambda g: g.one.faults.update(
            {CHAT: b'{"model":"respiratory","choices":[{"finish_reason":"stop"},{"finish_reason":"stop"}]}'}
        ),
        Check.ANSWER,
        State.SILENT,
        "did not end",
    ),
    (
        "aborted engine",
        lambda g: g.one.faults.update({CHAT: b'{"model":"respiratory","choices":[{"finish_reason":"abort"}]}'}),
        Check.ANSWER,
        State.SILENT,
        "did not end",
    ),
    ("redirect", lambda g: g.one.faults.update({CHAT: 302}), Check.ANSWER, State.SILENT, "status 302"),
    ("no such model when asked", lambda g: g.one.faults.update({CHAT: 404}), Check.ANSWER, State.SILENT, "status 404"),
    ("key not taken", lambda g: g.one.faults.update({"/v1/models": 401}), Check.ANSWER, State.SILENT, "status 401"),
    ("endless reply", lambda g: g.one.faults.update({CHAT: b" " * 3_000_000}), Check.ANSWER, State.SILENT, "more than"),
    (
        "another model in the reply",
        lambda g: g.one.speakers.update({"respiratory": "circulation"}),
        Check.ANSWER,
        State.WRONG,
        "circulation answered",
    ),
    (
        "base in the reply",
        lambda g: g.one.speakers.update({"respiratory": BASE}),
        Check.ANSWER,
        State.WRONG,
        "_unseated answered",
    ),
    ("other names", lambda g: g.one.adapters("infection"), Check.NAME, State.WRONG, "it serves _unseated, infection"),
    ("nothing served", lambda g: g.one.cards.clear(), Check.NAME, State.WRONG, "it serves nothing"),
    (
        "one name twice",
        lambda g: g.one.cards.append(g.one.card("respiratory")),
        Check.NAME,
        State.WRONG,
        "two of that name",
    ),
    (
        "base for an adapter",
        lambda g: g.one.base("respiratory", root=str(g.folder / "model")),
        Check.KIND,
        State.WRONG,
        "a base model",
    ),
    (
        "adapter on another base",
        lambda g: g.one.card("respiratory").update(parent="elsewhere"),
        Check.KIND,
        State.WRONG,
        "not listed",
    ),
    (
        "adapter from another folder",
        lambda g: g.one.card("respiratory").update(root=str(g.folder / "adapters" / "circulation")),
        Check.FOLDER,
        State.WRONG,
        "adapters/circulation",
    ),
    (
        "base from another folder",
        lambda g: g.one.card(BASE).update(root="/srv/model"),
        Check.FOLDER,
        State.WRONG,
        "/srv/model",
    ),
    ("no folder told", lambda g: g.one.card("respiratory").update(root=None), Check.FOLDER, State.WRONG, "does not say"),
    (
        "too small a context",
        lambda g: g.one.card(BASE).update(max_model_len=8191),
        Check.CONTEXT,
        State.WRONG,
        "8191 tokens",
    ),
    ("other version", lambda g: g.server.update(version="0.31.0"), Check.VERSION, State.WRONG, "vLLM 0.32.0"),
    (
        "version that is not told",
        lambda g: (g.server.update(version="0.32.0"), g.one.faults.update({"/version": 404})),
        Check.VERSION,
        State.SILENT,
        "status 404",
    ),
    (
        "planted adapter",
        lambda g: (g.folder / "adapters/respiratory/adapter_model.safetensors").write_bytes(b"planted"),
        Check.WEIGHTS,
        State.WRONG,
        "",
    ),
    (
        "planted base",
        lambda g: (g.folder / "model/model.safetensors").write_bytes(b"planted"),
        Check.WEIGHTS,
        State.WRONG,
        "",
    ),
    (
        "weights gone",
        lambda g: (g.folder / "adapters/respiratory/adapter_model.safetensors").unlink(),
        Check.WEIGHTS,
        State.WRONG,
        "there is none",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "what", "state", "came"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
async def test_a_fault_is_found_and_told(
    ground: Ground, spoil: Callable[[Ground], object], what: Check, state: State, came: str
) -> None:
    spec = ground.spec()
    spoil(ground)
    proof = await ground.one_proof(spec)
    assert proof.state is state
    (line,) = [line for line in proof.lines if line.check is what]
    assert line.state is state
    assert came in line.came
    assert line.expected
    assert line.advice, "whoever reads it is told what to do"
    assert f"{what.value}: expected" in proof.cause


@pytest.mark.parametrize(
    "fault", ["hang", "drip", "break off", 500, 404, 302, b"", b"[]", b'{"data":[{}]}', b'{"data":7}']
)
async def test_a_server_that_lists_nothing_is_silent_and_not_asked_to_compute(
    ground: Ground, fault: int | bytes | str
) -> None:
    ground.one.faults["/v1/models"] = fault
    proof = await ground.one_proof()
    assert proof.state is State.SILENT
    assert not ground.one.seen[CHAT]


async def test_a_server_that_is_not_there_is_silent(ground: Ground) -> None:
    ground.one.url = f"http://127.0.0.1:{free_port()}"
    proof = await ground.one_proof()
    assert proof.state is State.SILENT
    assert "cannot be reached" in proof.cause


async def test_health_is_never_asked_for(ground: Ground) -> None:
    await ground.one_proof()
    assert not ground.one.seen["/health"]


async def test_an_engine_that_stands_still_is_waited_for_once(ground: Ground) -> None:
    ground.one.faults[CHAT] = "hang"
    proofs = await ground.check(ground.spec("respiratory"), ground.spec("circulation"))
    assert {proof.state for proof in proofs} == {State.SILENT}
    assert ground.one.seen[CHAT] == 1


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_a_completion_that_does_not_come_in_time_is_late_where_all_else_was_seen(
    ground: Ground, fault: str
) -> None:
    ground.one.faults[CHAT] = fault
    assert (await ground.one_proof()).is_late


@pytest.mark.parametrize("fault", ["break off", 500, 429, b"", b'{"model": "respiratory", "choices": []}'])
async def test_a_completion_that_fails_is_not_late(ground: Ground, fault: int | bytes | str) -> None:
    ground.one.faults[CHAT] = fault
    proof = await ground.one_proof()
    assert (proof.state, proof.is_late) == (State.SILENT, False)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda g: g.one.faults.update({"/v1/models": "hang"}),
        lambda g: (g.folder / "adapters" / "respiratory" / "adapter_model.safetensors").write_bytes(b"new"),
        lambda g: g.one.card("respiratory").update(root="/srv/elsewhere"),
        lambda g: g.one.cards.pop(1),
    ],
)
async def test_what_is_unlisted_or_wrong_is_not_late_however_long_it_takes(
    ground: Ground, spoil: Callable[[Ground], object]
) -> None:
    spec = ground.spec()
    spoil(ground)
    ground.one.faults[CHAT] = "hang"
    assert not (await ground.one_proof(spec)).is_late


async def test_what_is_proven_is_not_late(ground: Ground) -> None:
    assert not (await ground.one_proof()).is_late


async def test_one_dead_model_says_nothing_of_the_other(ground: Ground) -> None:
    ground.one.faults[f"{CHAT} circulation"] = 500
    proofs = await ground.check(ground.spec("respiratory"), ground.spec("circulation"))
    assert [proof.state for proof in proofs] == [State.PROVEN, State.SILENT]


async def test_one_wrong_replica_says_nothing_of_the_other(pair: Ground) -> None:
    pair.replicas[1].speakers["respiratory"] = "circulation"
    assert [proof.state for proof in await pair.check()] == [State.PROVEN, State.WRONG]


async def test_replicas_of_two_versions_are_no_replicas(pair: Ground) -> None:
    pair.replicas[1].version = "0.33.0"
    proofs = await pair.check()
    assert [state_of(proof, Check.VERSION) for proof in proofs] == [State.PROVEN, State.WRONG]


async def test_a_base_is_not_proven_while_adapters_stand_beside_it(ground: Ground) -> None:
    spec = a_spec(BASE, adapter=None, weights_sha256=None)
    proof = await ground.one_proof(spec, serve=False)
    assert state_of(proof, Check.KIND) is State.WRONG


async def test_an_adapter_is_not_proven_in_the_seat_of_a_base(ground: Ground) -> None:
    proof = await ground.one_proof(ground.spec(adapter=None), serve=False)
    assert state_of(proof, Check.KIND) is State.WRONG


@pytest.mark.parametrize("serve", [True, False])
@pytest.mark.parametrize("adapter", ["resp", "circulation", BASE])
async def test_a_seat_that_states_another_adapter_than_its_name_stands_for_is_wrong(
    ground: Ground, adapter: str, serve: bool
) -> None:
    proof = await ground.one_proof(ground.spec(adapter=adapter), serve=serve)
    assert proof.state is State.WRONG
    assert proof.cause == f"kind: expected the adapter {adapter}, the adapter respiratory"
    (line,) = [line for line in proof.lines if line.state is State.WRONG]
    assert "`name` and `adapter`" in line.advice


async def test_the_weights_of_another_adapter_are_not_the_seats(ground: Ground) -> None:
    proof = await ground.one_proof(
        ground.spec("respiratory", weights_sha256=ground.spec("circulation").weights_sha256)
    )
    assert state_of(proof, Check.WEIGHTS) is State.WRONG


async def test_a_protocol_that_states_no_weights_is_told_so_and_how_to(ground: Ground) -> None:
    proof = await ground.one_proof(ground.spec(weights_sha256=None))
    assert state_of(proof, Check.WEIGHTS) is State.UNKNOWN
    assert "arbiter panel weights" in next(line.advice for line in proof.lines if line.check is Check.WEIGHTS)


async def test_folders_that_the_server_names_are_hashed_where_no_file_does(ground: Ground) -> None:
    assert state_of(await ground.one_proof(serve=False), Check.WEIGHTS) is State.PROVEN
    spec = ground.spec()
    (ground.folder / "adapters/respiratory/adapter_model.safetensors").write_bytes(b"planted")
    assert state_of(await ground.one_proof(spec, serve=False), Check.WEIGHTS) is State.WRONG


async def test_folders_of_another_machine_cannot_be_read_and_that_is_told(ground: Ground) -> None:
    ground.one.adapters("respiratory")
    proof = await ground.one_proof(serve=False)
    assert state_of(proof, Check.WEIGHTS) is State.UNKNOWN
    assert proof.state is State.PROVEN


@pytest.mark.parametrize("root", ["org/model", "../model", ""])
async def test_a_root_that_is_no_folder_is_not_looked_for_here(ground: Ground, root: str) -> None:
    for card in ground.one.cards:
        card["root"] = root
    assert state_of(await ground.one_proof(serve=False), Check.WEIGHTS) is State.UNKNOWN


@pytest.mark.parametrize("serve", [True, False])
@pytest.mark.parametrize("root", ["/srv/a\0b", "/" + "x" * 5_000, "/dev/zero", "/a-loop"])
async def test_a_root_that_no_folder_can_have_spoils_no_other_seats_proof(
    pair: Ground, root: str, serve: bool
) -> None:
    if root == "/a-loop":
        root = str(pair.folder / "a-loop")
        (pair.folder / "a-loop").symlink_to("a-loop")
    for card in pair.replicas[1].cards:
        card["root"] = root
    sound, other = await pair.check(serve=serve)
    assert sound.state is State.PROVEN
    if "\0" in root:
        assert other.state is State.SILENT
    else:
        assert state_of(other, Check.FOLDER) is (State.WRONG if serve else State.UNKNOWN)


async def test_what_a_server_says_is_shown_short_and_printable(ground: Ground) -> None:
    ground.one.adapters("x" * 500, "\x1b[31mred")
    (line,) = (await ground.one_proof()).lines
    assert "\x1b" not in line.came
    assert len(line.came) < 400


async def test_a_seat_on_a_server_that_the_file_does_not_name_is_refused(ground: Ground) -> None:
    with pytest.raises(ConfigurationError, match="'elsewhere' is not known; the fleet file names gpu-a"):
        await ground.check(ground.spec(server="elsewhere"))


async def test_a_panel_of_scores_has_nothing_to_prove() -> None:
    assert seats_of(a_fleet({"gpu-a": "http://127.0.0.1:1"}), [a_protocol()]) == ()
