"""What a state backend promises that can append: checkpoints that cost what changed, each of them kept."""

import copy
import threading
from datetime import timedelta

import pytest

from rh_agents.core.errors import IncompatibleVersionError, StaleWriterError
from rh_agents.core.state_backend import StateBackend
from rh_agents.core.state_recovery import Changes, Entry, StateStatus
from rh_agents.testing.samples import START, full_snapshot, new_id, random_series, simple_snapshot, step

SEEDS = range(5)


class AppendPromises:
    @pytest.fixture
    def appending(self, backend: StateBackend) -> StateBackend:
        if not backend.supports_append:
            pytest.skip("this backend does not append")
        return backend

    def reopen(self, backend: StateBackend) -> StateBackend:
        raise NotImplementedError

    def end_thread(self) -> None:
        raise NotImplementedError

    @pytest.mark.parametrize("seed", SEEDS)
    def test_after_every_append_the_state_is_what_the_changes_say(self, appending: StateBackend, seed: int) -> None:
        for changes, expected in random_series(seed):
            given = copy.deepcopy(changes)
            assert appending.append(changes) == expected.head
            assert changes == given
            assert self.reopen(appending).load_state(expected.state_id) == expected

    @pytest.mark.parametrize("seed", SEEDS)
    def test_every_earlier_checkpoint_can_be_rebuilt(self, appending: StateBackend, seed: int) -> None:
        expected = []
        for changes, state in random_series(seed):
            appending.append(changes)
            expected.append(state)
        state_id = expected[0].state_id
        for handle in (appending, self.reopen(appending)):
            assert [handle.load_checkpoint(state_id, state.head) for state in expected] == expected

    @pytest.mark.parametrize("seed", SEEDS)
    def test_plain_saves_come_to_the_same_as_appends(self, appending: StateBackend, seed: int) -> None:
        saved = []
        for _, state in random_series(seed, length=10):
            snapshot = copy.deepcopy(state)
            appending.save_state(snapshot)
            assert appending.load_state(state.state_id) == state
            saved.append(state)
        assert [appending.load_checkpoint(saved[0].state_id, state.head) for state in saved] == saved

    def test_appends_and_plain_saves_may_alternate(self, appending: StateBackend) -> None:
        snapshot = full_snapshot()
        appending.save_state(snapshot)
        assert appending.append(_changes(snapshot.state_id, 1, days=2)) == 2
        loaded = appending.load_state(snapshot.state_id)
        assert loaded is not None
        loaded.storage["late"] = Entry(2**40 + 1, "1")
        loaded.updated_at += timedelta(days=1)
        appending.save_state(loaded)
        assert loaded.head == 3
        assert appending.append(_changes(snapshot.state_id, 3, days=9)) == 4
        assert appending.load_checkpoint(snapshot.state_id, 1) == snapshot
        assert appending.load_checkpoint(snapshot.state_id, 3) == loaded

    def test_an_append_keeps_the_metadata_unless_it_brings_some(self, appending: StateBackend) -> None:
        snapshot = full_snapshot()
        appending.save_state(snapshot)
        appending.append(_changes(snapshot.state_id, 1))
        loaded = appending.load_state(snapshot.state_id)
        assert loaded is not None and loaded.metadata == snapshot.metadata
        assert [state.state_id for state in appending.list_states(tags=["production"])] == [snapshot.state_id]

    def test_an_append_may_change_nothing_but_the_status(self, appending: StateBackend) -> None:
        snapshot = full_snapshot()
        appending.save_state(snapshot)
        changes = Changes(
            state_id=snapshot.state_id,
            base=1,
            status=StateStatus.CANCELLED,
            updated_at=snapshot.updated_at + timedelta(seconds=1),
            resolution_text=snapshot.resolution_text,
        )
        appending.append(changes)
        expected = changes.apply_to(copy.deepcopy(snapshot))
        assert appending.load_state(snapshot.state_id) == expected
        assert expected.events == snapshot.events and expected.clock == snapshot.clock

    def test_what_is_rolled_back_stays_in_the_earlier_checkpoints(self, appending: StateBackend) -> None:
        state_id = new_id()
        appending.append(_changes(state_id, 0, events=[step(1), step(2), step(3)], storage={"k": Entry(3, "3")}))
        back = _changes(state_id, 1, closed=[2, 3], storage={"k": None}, generations={"step2::tool_call": 1})
        appending.append(back)
        appending.append(_changes(state_id, 2, events=[step(4, "step2::tool_call", result="again")]))
        old, middle, new = (appending.load_checkpoint(state_id, number) for number in (1, 2, 3))
        assert old is not None and middle is not None and new is not None
        assert old.events == [step(1), step(2), step(3)]
        assert old.storage == {"k": Entry(3, "3")} and old.generations == {}
        assert middle.events == [step(1)] and middle.storage == {}
        assert new.events == [step(1), step(4, "step2::tool_call", result="again")]
        assert new.generations == {"step2::tool_call": 1}

    def test_an_answer_takes_the_place_of_its_question(self, appending: StateBackend) -> None:
        state_id = new_id()
        appending.append(_changes(state_id, 0, events=[step(1), step(2, result="question"), step(3)]))
        appending.append(_changes(state_id, 1, closed=[2], events=[step(2, result="answer")]))
        loaded = appending.load_state(state_id)
        assert loaded is not None
        assert loaded.events == [step(1), step(2, result="answer"), step(3)]

    def test_there_is_no_checkpoint_before_the_first_and_after_the_last(self, appending: StateBackend) -> None:
        snapshot = simple_snapshot()
        appending.save_state(snapshot)
        assert [appending.load_checkpoint(snapshot.state_id, number) for number in (-1, 0, 2)] == [None, None, None]
        assert appending.load_checkpoint(new_id(), 1) is None

    @pytest.mark.parametrize("base", [0, 1, 3, -1])
    def test_an_append_to_any_but_the_newest_checkpoint_is_refused_and_writes_nothing(
        self, appending: StateBackend, base: int
    ) -> None:
        state_id = new_id()
        for number in (0, 1):
            appending.append(_changes(state_id, number, storage={"k": Entry(number, "1")}))
        expected = appending.load_state(state_id)
        for handle in (appending, self.reopen(appending)):
            with pytest.raises(StaleWriterError, match=state_id):
                handle.append(_changes(state_id, base, days=9, storage={"lost": Entry(9, "9")}))
            assert handle.load_state(state_id) == expected
            assert handle.load_checkpoint(state_id, 3) is None
        assert appending.append(_changes(state_id, 2)) == 3

    def test_an_append_to_a_state_that_is_not_there_is_refused_and_writes_nothing(
        self, appending: StateBackend
    ) -> None:
        state_id = new_id()
        with pytest.raises(StaleWriterError, match=state_id):
            appending.append(_changes(state_id, 4))
        assert appending.exists(state_id) is False

    def test_an_append_after_somebody_else_appended_is_refused(self, appending: StateBackend) -> None:
        state_id = new_id()
        other = self.reopen(appending)
        appending.append(_changes(state_id, 0))
        other.append(_changes(state_id, 1, storage={"k": Entry(1, '"theirs"')}))
        with pytest.raises(StaleWriterError):
            appending.append(_changes(state_id, 1, storage={"k": Entry(1, '"ours"')}))
        loaded = appending.load_state(state_id)
        assert loaded is not None and loaded.storage == {"k": Entry(1, '"theirs"')}
        assert appending.append(_changes(state_id, 2)) == 3

    def test_an_append_after_the_state_was_deleted_does_not_bring_it_back(self, appending: StateBackend) -> None:
        state_id = new_id()
        appending.append(_changes(state_id, 0))
        self.reopen(appending).delete_state(state_id)
        with pytest.raises(StaleWriterError):
            appending.append(_changes(state_id, 1))
        assert appending.exists(state_id) is False
        assert appending.list_states() == []

    def test_deleting_removes_every_checkpoint(self, appending: StateBackend) -> None:
        state_id = new_id()
        for number in range(3):
            appending.append(_changes(state_id, number, events=[step(number)]))
        appending.delete_state(state_id)
        assert [appending.load_checkpoint(state_id, number) for number in (1, 2, 3)] == [None, None, None]
        assert appending.append(_changes(state_id, 0)) == 1
        loaded = appending.load_state(state_id)
        assert loaded is not None and loaded.events == []

    def test_an_append_of_a_later_major_version_is_refused_and_writes_nothing(self, appending: StateBackend) -> None:
        state_id = new_id()
        appending.append(_changes(state_id, 0))
        changes = _changes(state_id, 1)
        changes.version = "2.0.0"
        with pytest.raises(IncompatibleVersionError, match=r"2\.0\.0"):
            appending.append(changes)
        loaded = appending.load_state(state_id)
        assert loaded is not None and loaded.head == 1

    @pytest.mark.parametrize("state_id", ["", "../up", "a/b", "a\x00b"])
    def test_an_append_to_a_malformed_id_is_a_value_error(self, appending: StateBackend, state_id: str) -> None:
        with pytest.raises(ValueError):
            appending.append(_changes(state_id, 0))
        with pytest.raises(ValueError):
            appending.load_checkpoint(state_id, 1)

    @pytest.mark.parametrize("base", [0, 1])
    def test_of_two_threads_that_append_at_once_exactly_one_wins(self, appending: StateBackend, base: int) -> None:
        for _ in range(5):
            state_id = new_id()
            for number in range(base):
                appending.append(_changes(state_id, number))
            winners = self._append_at_once(state_id, base, [appending, self.reopen(appending)])
            assert len(winners) == 1
            loaded = appending.load_state(state_id)
            assert loaded is not None and loaded.head == base + 1
            assert loaded.storage == {"winner": Entry(1, winners[0])}

    def _append_at_once(self, state_id: str, base: int, handles: list[StateBackend]) -> list[str]:
        """What each thread wrote that was not refused; one thread a handle, all let go at the same moment."""
        ready = threading.Barrier(len(handles))
        winners: list[str] = []
        failures: list[BaseException] = []

        def append(text: str, handle: StateBackend) -> None:
            try:
                ready.wait()
                handle.append(_changes(state_id, base, storage={"winner": Entry(1, text)}))
                winners.append(text)
            except StaleWriterError:
                pass
            except BaseException as error:
                failures.append(error)
            finally:
                self.end_thread()

        threads = [threading.Thread(target=append, args=(str(number), handle)) for number, handle in enumerate(handles)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        return winners


def _changes(state_id: str, base: int, *, days: int = 0, **what: object) -> Changes:
    values = {"status": StateStatus.RUNNING, "updated_at": START + timedelta(days=days, seconds=base), **what}
    return Changes(state_id=state_id, base=base, **values)  # type: ignore[arg-type]
