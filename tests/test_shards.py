"""Shards: made once, given back in order, tried again when they fail; one that fails for good costs itself alone."""

import errno
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ModelError, StageError
from pipelines.shards import (
    ATTEMPTS,
    FOLDER,
    Attempt,
    InTurn,
    Mapper,
    Shard,
    Work,
    attempted,
    each_done,
    making,
    portable,
    put_away,
    several,
    shards_of,
)

CALLS: list[str] = []
FAILURES: dict[str, int] = {}
"""How often each shard is still to fail."""


def capitals(given: bytes, place: Path, threads: int) -> None:
    """Work for the tests: a word in capitals."""
    word = json.loads(given)
    CALLS.append(word)
    if FAILURES.get(word):
        FAILURES[word] -= 1
        raise ValueError(f"{word} does not want to")
    if word == "full":
        raise OSError(errno.ENOSPC, "no space", str(place))
    if word == "unfit":
        raise ModelError("there is no such model")
    with making(place) as temporary:
        temporary.write_text(word.upper())


class AnyOrder:
    """Stands for a cluster: a few shards at once, done in whatever order."""

    processes = True

    def __init__(self, seed: int, at_once: int = 3) -> None:
        self.rng, self.at_once = random.Random(seed), at_once

    def __call__(self, work: Work, shards: Iterable[Shard]) -> Iterator[Attempt]:
        held: list[Shard] = []
        for shard in shards:
            held.append(shard)
            if len(held) == self.at_once:
                yield attempted(work, held.pop(self.rng.randrange(len(held))), 1)
        while held:
            yield attempted(work, held.pop(self.rng.randrange(len(held))), 1)


@pytest.fixture(autouse=True)
def fresh() -> None:
    CALLS.clear()
    FAILURES.clear()


def words(output: Path, *names: str) -> list[Shard]:
    return list(shards_of(output, ".txt", [(name, name) for name in names]))


def made(output: Path, names: Iterable[str], mapper: Mapper) -> list[str]:
    done = each_done(capitals, words(output, *names), mapper, lambda name: None)
    return [shard.place.read_text() for shard in done]


@given(
    names=st.lists(st.text("abcdefgh", min_size=1, max_size=4), unique=True, max_size=12),
    seed=st.integers(0, 99),
    at_once=st.integers(1, 5),
    data=st.data(),
)
def test_shards_come_in_order_and_once_however_they_are_mapped(
    names: list[str], seed: int, at_once: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    output = tmp_path_factory.mktemp("shards")
    FAILURES.clear()
    before = data.draw(st.sets(st.sampled_from(names))) if names else set()
    made(output, sorted(before), InTurn())
    failures = st.dictionaries(st.sampled_from(names), st.integers(0, ATTEMPTS - 1)) if names else st.just({})
    FAILURES.update(data.draw(failures))
    tries = {name: 1 + FAILURES.get(name, 0) for name in names if name not in before}
    CALLS.clear()
    assert made(output, names, AnyOrder(seed, at_once)) == [name.upper() for name in names]
    assert {name: CALLS.count(name) for name in set(CALLS)} == tries  # those that were there are not made again


def test_one_that_fails_for_good_fails_the_stage_with_its_name_and_the_others_are_kept(tmp_path: Path) -> None:
    FAILURES["b"] = ATTEMPTS
    with pytest.raises(
        StageError, match=r"Shard b \[.*failed 3 times in tests.test_shards: ValueError: b does not"
    ) as told:
        made(tmp_path, "abcd", AnyOrder(1))
    assert any("Traceback" in note for note in told.value.__notes__)  # of where it failed, for who mends it
    assert CALLS.count("b") == ATTEMPTS
    CALLS.clear()
    assert made(tmp_path, "abcd", AnyOrder(2)) == ["A", "B", "C", "D"]
    assert CALLS == ["b"]


def test_those_before_a_failure_are_given_out_and_those_after_it_wait(tmp_path: Path) -> None:
    FAILURES["b"] = 1
    done = each_done(capitals, words(tmp_path, *"abc"), InTurn(), lambda name: None)
    seen = [(shard.place.read_text(), list(CALLS)) for shard in done]
    # a at once; b fails, so that c waits for its second attempt
    assert seen == [("A", ["a"]), ("B", ["a", "b", "c", "b"]), ("C", ["a", "b", "c", "b"])]


@pytest.mark.parametrize(("word", "error"), [("unfit", ModelError), ("full", OSError)])
def test_what_no_attempt_can_help_is_raised_at_once_as_it_is(word: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        made(tmp_path, ["a", word, "c"], InTurn())
    assert ["a", word] == CALLS


def test_an_error_that_other_processes_may_not_know_is_told(tmp_path: Path) -> None:
    class Foreign(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("of a library")

    told = portable(Foreign(1, 2))
    assert isinstance(told, StageError) and str(told) == "Foreign: of a library"


def test_shards_are_taken_as_there_is_room(tmp_path: Path) -> None:
    asked: list[int] = []

    def parts() -> Iterator[tuple[str, str]]:
        for number in range(100):
            asked.append(number)
            yield str(number), str(number)

    done = each_done(capitals, shards_of(tmp_path, ".txt", parts()), AnyOrder(3, at_once=4), lambda name: None)
    next(done)
    assert len(asked) < 20


def test_one_shard_alone_is_not_worth_mapping(tmp_path: Path) -> None:
    assert several(iter(words(tmp_path, "a"))) is None
    assert several(iter([])) is None
    found = several(iter(words(tmp_path, "a", "b", "c")))
    assert found is not None and [shard.label for shard in found] == ["a", "b", "c"]


def test_a_name_follows_from_the_input_alone(tmp_path: Path) -> None:
    one, other = words(tmp_path, "x", "a"), words(tmp_path, "a")
    assert one[1].place == other[0].place and one[0].place != one[1].place


def test_a_worker_that_outlives_its_stage_writes_nothing(tmp_path: Path) -> None:
    [shard] = words(tmp_path, "late")
    made(tmp_path, ["a"], InTurn())
    put_away(tmp_path)
    assert isinstance(attempted(capitals, shard, 1).error, OSError)
    assert not (tmp_path / FOLDER).exists()


def test_a_failure_in_the_middle_of_writing_leaves_no_file(tmp_path: Path) -> None:
    [shard] = words(tmp_path, "half")
    shard.place.parent.mkdir()
    with pytest.raises(RuntimeError), making(shard.place) as temporary:
        temporary.write_text("HA")
        raise RuntimeError
    assert list(shard.place.parent.iterdir()) == []
