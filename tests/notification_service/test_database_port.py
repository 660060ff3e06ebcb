# SPDX-License-Identifier: Apache-2.0
"""What every implementation of the database port does; a new one is added to ``OPENERS``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notification_service.database.errors import ConstraintError, DatabaseError, MisuseError
from notification_service.database.port import Database, WriteTransaction
from notification_service.database.sqlite import SqliteDatabase
from notification_service.database.statements import parse_statements
from tests.notification_service.groups import Gate, run_all, run_as_group
from tests.support import wait_until

SQL = parse_statements((Path(__file__).parent / "sample.sql").read_text(), "sample.sql")


def _open_sqlite(directory: Path) -> Database:
    return SqliteDatabase(directory / "store.db")


OPENERS: dict[str, Callable[[Path], Database]] = {"sqlite": _open_sqlite}


@pytest.fixture(params=sorted(OPENERS))
def opener(request: pytest.FixtureRequest) -> Callable[[Path], Database]:
    return OPENERS[request.param]


@pytest.fixture
def database(opener: Callable[[Path], Database], tmp_path: Path) -> Iterator[Database]:
    opened = opener(tmp_path)
    with opened.write() as tx:
        tx.execute(SQL.create_thing)
    yield opened
    opened.close()


def names(database: Database) -> list[object]:
    with database.read() as tx:
        return [row[0] for row in tx.rows(SQL.list_things)]


def add(name: str, size: int = 1) -> Callable[[WriteTransaction], int]:
    return lambda tx: tx.insert(SQL.add_thing, name=name, size=size)


def test_a_write_is_there_after_its_block(database: Database) -> None:
    with database.write() as tx:
        key = tx.insert(SQL.add_thing, name="a", size=3)

    with database.read() as tx:
        assert tx.row(SQL.find_thing, name="a") == (key, 3)
        assert tx.row(SQL.find_thing, name="b") is None


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError, match="stop"), database.write() as tx:
        tx.insert(SQL.add_thing, name="a", size=1)
        raise RuntimeError("stop")

    assert names(database) == []
    with database.write() as tx:
        tx.insert(SQL.add_thing, name="b", size=1)
    assert names(database) == ["b"]


def test_a_write_sees_what_it_wrote(database: Database) -> None:
    with database.write() as tx:
        tx.insert(SQL.add_thing, name="a", size=1)

        assert tx.rows(SQL.list_things) == [("a", 1)]


def test_execute_tells_how_many_rows_changed(database: Database) -> None:
    with database.write() as tx:
        tx.execute_many(SQL.add_thing, [("a", 1), ("b", 2), ("c", 9)])

        assert tx.execute(SQL.resize_all, size=5, below=5) == 2
        assert tx.execute(SQL.resize_all, size=5, below=0) == 0


def test_execute_many_takes_an_empty_list(database: Database) -> None:
    with database.write() as tx:
        tx.execute_many(SQL.add_thing, [])

    assert names(database) == []


def test_a_read_keeps_its_snapshot_while_others_write(database: Database) -> None:
    with database.read() as tx:
        assert tx.rows(SQL.list_things) == []
        with database.write() as writing:
            writing.insert(SQL.add_thing, name="a", size=1)

        assert tx.rows(SQL.list_things) == []

    assert names(database) == ["a"]


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as tx:
        tx.insert(SQL.add_thing, name="a", size=1)

        assert names(database) == []


def test_a_broken_constraint_says_which_statement(database: Database) -> None:
    with pytest.raises(ConstraintError, match=r"add_thing.*thing\.name") as caught, database.write() as tx:
        tx.insert(SQL.add_thing, name="a", size=1)
        tx.insert(SQL.add_thing, name="a", size=1)

    assert caught.value.statement == "add_thing"
    assert names(database) == []


@pytest.mark.parametrize(
    "params", [{}, {"name": "a"}, {"name": "a", "sise": 1}, {"name": "a", "size": 1, "x": 2}]
)
def test_wrong_parameters_are_refused(database: Database, params: dict[str, int]) -> None:
    with (
        database.write() as tx,
        pytest.raises(MisuseError, match="add_thing takes the parameters name, size"),
    ):
        tx.insert(SQL.add_thing, **params)


def test_an_unknown_statement_fails_where_it_is_used() -> None:
    with pytest.raises(AttributeError, match=r"no statement drop_thing in sample\.sql"):
        _ = SQL.drop_thing


def test_text_and_bytes_come_back_as_they_were(database: Database) -> None:
    text = "naïve \N{SNOWMAN} \x00 end"
    with database.write() as tx:
        tx.insert(SQL.add_thing, name=text, size=None)
        tx.insert(SQL.store_value, name="bytes", data=b"\x00\xff")

        assert tx.rows(SQL.list_things) == [(text, None), ("bytes", 2)]


def test_a_write_inside_a_write_is_refused_and_not_waited_for(database: Database) -> None:
    with database.write(), pytest.raises(MisuseError, match="inside another"), database.write():
        pass

    with database.write(), pytest.raises(MisuseError, match="inside another"):
        database.commit_together(add("a"))

    database.commit_together(add("b"))
    assert names(database) == ["b"]


def test_a_closed_database_says_so(database: Database) -> None:
    database.close()
    database.close()

    with pytest.raises(DatabaseError, match="closed"), database.read():
        pass
    with pytest.raises(DatabaseError, match="closed"), database.write():
        pass
    with pytest.raises(DatabaseError, match="closed"):
        database.commit_together(add("a"))


def test_what_was_written_is_there_after_opening_again(
    opener: Callable[[Path], Database], tmp_path: Path, database: Database
) -> None:
    database.commit_together(add("a"))
    database.close()

    again = opener(tmp_path)

    assert names(again) == ["a"]
    again.close()


# --- commit_together


def test_commit_together_returns_what_the_work_returned(database: Database) -> None:
    assert database.commit_together(add("a")) == 1
    assert database.commit_together(lambda tx: tx.rows(SQL.list_things)) == [("a", 1)]


def test_a_work_that_raises_leaves_nothing_and_the_next_one_works(database: Database) -> None:
    def bad(tx: WriteTransaction) -> None:
        add("a")(tx)
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        database.commit_together(bad)

    database.commit_together(add("b"))
    assert names(database) == ["b"]


def test_a_bad_work_hurts_nobody_else_of_its_group(database: Database) -> None:
    def writes_and_raises(tx: WriteTransaction) -> None:
        add("bad")(tx)
        raise RuntimeError("on purpose")

    def breaks_constraint(tx: WriteTransaction) -> None:
        add("twice")(tx)
        add("twice")(tx)

    works: list[Callable[[WriteTransaction], object]] = [add(f"good {n}") for n in range(6)]
    works[2:2] = [writes_and_raises, breaks_constraint]

    results = run_as_group(database, [lambda work=work: database.commit_together(work) for work in works])

    assert [type(result) for result in results] == [int] * 2 + [RuntimeError, ConstraintError] + [int] * 4
    assert sorted(map(str, names(database))) == [f"good {n}" for n in range(6)]


def test_many_threads_lose_and_double_nothing(database: Database) -> None:
    def adds(thread: int) -> Callable[[], object]:
        return lambda: [database.commit_together(add(f"{thread}-{n}")) for n in range(40)]

    results = run_all([adds(thread) for thread in range(8)])

    assert not [result for result in results if isinstance(result, Exception)]
    assert sorted(map(str, names(database))) == sorted(f"{t}-{n}" for t in range(8) for n in range(40))


def test_writes_and_groups_take_turns(database: Database) -> None:
    def writes(thread: int) -> None:
        for n in range(30):
            with database.write() as tx:
                tx.insert(SQL.add_thing, name=f"w{thread}-{n}", size=1)

    def groups(thread: int) -> None:
        for n in range(30):
            database.commit_together(add(f"g{thread}-{n}"))

    calls: list[Callable[[], object]] = [lambda t=t: writes(t) for t in range(3)]
    results = run_all(calls + [lambda t=t: groups(t) for t in range(3)])

    assert results == [None] * 6
    assert len(names(database)) == 180


class Interrupted(BaseException):
    """Stands for a KeyboardInterrupt that arrives inside a work."""


def test_an_interrupted_leader_leaves_the_works_of_others_alone(database: Database) -> None:
    gate = Gate()
    outcome: list[BaseException] = []

    def interrupted(tx: WriteTransaction) -> None:
        add("interrupted")(tx)
        gate(tx)
        raise Interrupted

    def lead() -> None:
        try:
            database.commit_together(interrupted)
        except Interrupted as error:
            outcome.append(error)

    leader = threading.Thread(target=lead)
    leader.start()
    assert gate.entered.wait(10)
    followers = [
        threading.Thread(target=lambda n=n: database.commit_together(add(f"f{n}"))) for n in range(3)
    ]
    for follower in followers:
        follower.start()
    gate.opened.set()
    for thread in [leader, *followers]:
        thread.join(10)

    assert len(outcome) == 1
    wait_until(lambda: sorted(map(str, names(database))) == ["f0", "f1", "f2"])
