"""The sample accounts of `make run`: somebody to sign in as on a machine where nobody has an account yet."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction


class Login(NamedTuple):
    username: str
    password: str
    purpose: str


PURPOSES = {
    "reviewer": "decides requests",
    "finance": "decides requests, those for Finance too",
    "admin": "everything, and /admin/",
}
REVIEWERS_MAY = ("decide_approvalrequest", "start_state", "view_approvalrequest", "view_state")


@transaction.atomic
def create_sample_accounts() -> None:
    """Only when there is no account at all: a database that people use is left alone."""
    if User.objects.exists():
        return
    password = _password()
    reviewers, _ = Group.objects.get_or_create(name="Reviewers")
    reviewers.permissions.add(
        *Permission.objects.filter(content_type__app_label="recovery", codename__in=REVIEWERS_MAY)
    )
    finance, _ = Group.objects.get_or_create(name="Finance")
    reviewer = User.objects.create_user(
        "reviewer", "reviewer@localhost", password, first_name="Robin", last_name="Reed"
    )
    reviewer.groups.add(reviewers)
    treasurer = User.objects.create_user(
        "finance", "finance@localhost", password, first_name="Fatima", last_name="Fink"
    )
    treasurer.groups.add(reviewers, finance)
    User.objects.create_superuser("admin", "admin@localhost", password, first_name="Alex", last_name="Admin")


def known_logins() -> list[Login]:
    """The sample accounts whose password is still the generated one."""
    if not _path().exists():
        return []
    password = _password()
    accounts = User.objects.filter(username__in=PURPOSES, is_active=True).order_by("-username")
    return [
        Login(account.username, password, PURPOSES[account.username])
        for account in accounts
        if account.check_password(password)
    ]


def _path() -> Path:
    path: Path = settings.VAR_DIR / "sample_password"
    return path


def _password() -> str:
    """Generated once on this machine, and readable by its owner only."""
    with suppress(FileExistsError):
        descriptor = os.open(_path(), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(6))
    return _path().read_text()
