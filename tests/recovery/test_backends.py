"""DjangoStateBackend and DjangoArtifactBackend: the contracts of the engine, and what only a database can promise."""

import pytest
from django.db import connection

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from rh_agents.testing import ArtifactBackendContract, StateBackendContract

pytestmark = pytest.mark.django_db(transaction=True)


def ask_nobody(*_: object) -> None:
    """Stands for the service that opens requests: the states of these tests hold no real questions."""


@pytest.mark.conformance
class TestDjangoStates(StateBackendContract):
    @pytest.fixture
    def backend(self) -> DjangoStateBackend:
        return DjangoStateBackend(on_awaiting=ask_nobody)

    def reopen(self, backend: object) -> DjangoStateBackend:
        return DjangoStateBackend(on_awaiting=ask_nobody)

    def end_thread(self) -> None:
        connection.close()


@pytest.mark.conformance
class TestDjangoArtifacts(ArtifactBackendContract):
    @pytest.fixture
    def backend(self) -> DjangoArtifactBackend:
        return DjangoArtifactBackend()

    def reopen(self, backend: object) -> DjangoArtifactBackend:
        return DjangoArtifactBackend()

    def end_thread(self) -> None:
        connection.close()
