"""Every error of the engine.

RhAgentsError
├── AddressError                 a name, tag or key that cannot be part of an address
│   └── AddressNotFoundError     a `resume_from_address` that the history does not hold
├── AmbiguousReplayError         same-named siblings overlapped and cannot be told apart on replay
├── SerializationError           a value that cannot be written, or a text that cannot be read back
├── StateError
│   ├── StateNotFoundError       no state of that id
│   ├── CorruptStateError        a stored state that is damaged
│   ├── CorruptArtifactError     artifact bytes that do not match their id
│   ├── IncompatibleVersionError a later major version of the schema
│   └── StaleWriterError         somebody else saved the state meanwhile, or holds its lease
├── RunCancelledError            the run was cancelled and reached its next step boundary
├── RejectedError                a person rejected what was asked with `on_reject="fail"`
├── RunAbortedError              the code of a run raised SystemExit, or a CancelledError that nobody sent
└── PreconditionError            a pre- or postcondition of an actor does not hold
"""


class RhAgentsError(Exception):
    """The root: `except RhAgentsError` catches whatever the engine itself raises."""


class AddressError(RhAgentsError, ValueError):
    """A name, tag or key that cannot be part of an address."""


class AddressNotFoundError(AddressError):
    """The history holds no step of that address.

    `address` is what was asked for, `closest` the addresses that look most like it.
    """

    def __init__(self, address: str, closest: list[str]) -> None:
        self.address = address
        self.closest = closest
        hint = f"; closest: {', '.join(closest)}" if closest else "; the history is empty"
        super().__init__(f"no step has the address {address!r}{hint}")


class AmbiguousReplayError(RhAgentsError):
    """Siblings of one name ran at once, and their inputs differ from those recorded."""


class SerializationError(RhAgentsError, TypeError):
    """A value that cannot be written, or a text that cannot be read back. Names where and which type."""


class StateError(RhAgentsError):
    """Something about a stored state."""


class StateNotFoundError(StateError, LookupError):
    """No state of that id."""


class CorruptStateError(StateError):
    """A stored state is damaged; the message names it and what was found."""


class CorruptArtifactError(StateError):
    """The bytes of an artifact do not match its id, or cannot be decoded."""


class IncompatibleVersionError(StateError):
    """A later major version of the schema wrote this; the message names both versions."""


class StaleWriterError(StateError):
    """Somebody else saved this state meanwhile or holds its lease. Nothing was written; load it again."""


class RunCancelledError(RhAgentsError):
    """The run was cancelled; raised at its next step boundary."""


class RejectedError(RhAgentsError):
    """A question with `on_reject="fail"` was rejected, expired or was cancelled; the message says by whom and why."""


class RunAbortedError(RhAgentsError):
    """The code of a run ended it by what ends a program or a task: `SystemExit`, or a `CancelledError` that nobody
    sent to the run. That is its `__cause__`."""

    def __init__(self, raised: BaseException) -> None:
        if isinstance(raised, SystemExit):
            words = f"its code raised {raised!r}: a run ends by returning a value or raising an error"
        else:
            words = (
                "its code let a CancelledError through, and nobody cancelled the run: "
                "catch it where you await a task that you cancelled"
            )
        super().__init__(words)
        self.__cause__ = raised


class PreconditionError(RhAgentsError):
    """A pre- or postcondition of an actor does not hold."""
