"""States that an earlier major version of the schema wrote, brought up to the present one."""

from collections.abc import Callable

from rh_agents.core.errors import IncompatibleVersionError
from rh_agents.core.state_recovery import CURRENT_SCHEMA_VERSION, StateSnapshot, check_version, major_of

Migration = Callable[[StateSnapshot], StateSnapshot]

_migrations: dict[int, tuple[str, Migration]] = {}


def migration(source: str, target: str) -> Callable[[Migration], Migration]:
    """Register a function that turns a snapshot of major version `source` into one of `target`.

    It may change the snapshot that it gets, and returns the one to go on with. It runs when such a state is loaded
    for a run; the next checkpoint saves the state whole, and earlier checkpoints stay as they were written.

    Raises:
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


def migrate(snapshot: StateSnapshot) -> StateSnapshot:
    """`snapshot` itself if its major version is the present one, else what the registered migrations make of it.

    Raises:
        IncompatibleVersionError: a later major version wrote it, or a migration on the way is missing.
        CorruptStateError: its version is no version.
    """
    check_version(snapshot.version)
    present = major_of(CURRENT_SCHEMA_VERSION)
    written = snapshot.version
    while (major := major_of(snapshot.version)) < present:
        if major not in _migrations:
            on_the_way = "" if snapshot.version == written else f", which leads over {snapshot.version}"
            raise IncompatibleVersionError(
                f"state {snapshot.state_id!r} was written by schema {written}{on_the_way}; this program has "
                f'{CURRENT_SCHEMA_VERSION} and no migration between them: @migration("{snapshot.version}", ...)'
            )
        target, function = _migrations[major]
        snapshot = function(snapshot)
        snapshot.version = target
    return snapshot
