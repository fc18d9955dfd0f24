"""When a failed attempt is tried again."""

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt

from rh_agents.core.errors import AddressError, AmbiguousReplayError, SerializationError, StateError

# Trying again would do the work once more and end the same way.
_HOPELESS = (AddressError, AmbiguousReplayError, SerializationError, StateError)


class RetryPolicy(BaseModel):
    """Up to `max_attempts` in all; `backoff` seconds before the second, twice that before the third, and so on, but
    never more than `max_backoff` (or `backoff`, where that is more).

    `retry_on`: only these errors are tried again. A pause or a cancellation never is, nor what the engine itself
    refuses (a value that cannot be written, an address that cannot be).
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid", defer_build=True)

    max_attempts: PositiveInt = 3
    backoff: NonNegativeFloat = 0.5
    max_backoff: NonNegativeFloat = 60.0
    retry_on: tuple[type[Exception], ...] = Field(default=(Exception,))

    def delay_s(self, attempt: int, error: Exception) -> float | None:
        """How long to wait after failed attempt number `attempt` (from 1); `None`: not again."""
        if attempt >= self.max_attempts or isinstance(error, _HOPELESS) or not isinstance(error, self.retry_on):
            return None
        doubled = min(attempt - 1, 1000)  # A float holds no more.
        return min(self.backoff * 2.0**doubled, max(self.max_backoff, self.backoff))
