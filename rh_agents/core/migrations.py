"""States that an earlier major version of the schema wrote, brought up to the present one."""

from collections.abc import Callable
from typing import Any

from rh_agents.core import state_recovery
from rh_agents.core.errors import IncompatibleVersionError, SerializationError
from rh_agents.core.plain_states import snapshot_from_dict, snapshot_to_dict
from rh_agents.core.state_recovery import StateSnapshot, check_version, is_older, major_of

PlainState = dict[str, Any]
Migration = Callable[[PlainState], PlainState]

_migrations: dict[int, tuple[str, Migration]] = {}


def migration(source: str, target: str) -> Callable[[Migration], Migration]:
    """Register a function that turns a state of major version `source` into one of `target`.

    It gets the state as plain data, as it was stored, with every field that the earlier schema had: `state_id`,
    `status`, `metadata`, `created_at`, `updated_at`, `clock`, `generations`, `resolution_text`, `events` (dicts) and
    `storage` and `artifacts` (key to the values of an `Entry`). It may change it, and returns the one to go on with.
    Results, stored values and `custom_data` are texts, which `rh_agents.core.serialization` encodes and decodes.

    It runs whenever such a state is read. The next checkpoint then holds the whole state in the present schema; the
    earlier ones stay as they were written.

    Raises:
        CorruptStateError: one of them is no version.
        ValueError: `target` is not of a later major version, or there is a migration of that major version already.
    """
    start, end = major_of(source), major_of(target)
    if end <= start:
        raise ValueError(f"a migration leads to a later major version, not from {source} to {target}")

    def register(function: Migration) -> Migration:
        if start in _migrations:
            raise ValueError(
                f"there is a migration from schema {start}.x already, to {_migrations[start][0]}: "
                f"{_migrations[start][1].__qualname__}"
            )
        _migrations[start] = target, function
        return function

    return register


def migrated(state: PlainState) -> StateSnapshot:
    """What the registered migrations make of a state of an earlier major version. Its `head` is for the caller to set.

    Raises:
        IncompatibleVersionError: a migration on the way is missing, or failed.
        CorruptStateError: what the last one made is no state.
        SerializationError: `custom_data` holds a value of a class that this process does not know.
    """
    written = version = state["version"]
    state_id = state["state_id"]
    while is_older(version):
        major = major_of(version)
        if major not in _migrations:
            on_the_way = "" if version == written else f", which leads over {version}"
            raise IncompatibleVersionError(
                f"state {state_id!r} was written by schema {written}{on_the_way}; this program has "
                f'{state_recovery.CURRENT_SCHEMA_VERSION} and no migration between them: @migration("{version}", ...)'
            )
        version, function = _migrations[major]
        try:
            state = {**function(state), "version": version, "state_id": state_id}
        except Exception as error:
            raise IncompatibleVersionError(
                f"state {state_id!r} was written by schema {written}, and its migration to {version}, "
                f"{function.__qualname__}, failed: {error!r}"
            ) from error
    try:
        snapshot = snapshot_from_dict(state, f"state {state_id!r} is damaged after its migration from schema {written}")
    except SerializationError as error:
        raise SerializationError(f"custom_data of state {state_id!r}: {error}") from error
    snapshot.migrated_from = written
    return snapshot


def up_to_date(snapshot: StateSnapshot) -> StateSnapshot:
    """`snapshot` itself if its major version is the present one, else what the registered migrations make of it.

    Raises:
        IncompatibleVersionError: a later major version wrote it; and what `migrated` raises.
    """
    check_version(snapshot.version)
    if not is_older(snapshot.version):
        return snapshot
    made = migrated(snapshot_to_dict(snapshot))
    made.head = snapshot.head
    return made
