"""Settings of the tests: the real ones, with files in a folder of their own that goes away afterwards."""

import atexit
import os
import shutil
import tempfile

_VAR_DIR = tempfile.mkdtemp(prefix="rhdashboard-test-")
atexit.register(shutil.rmtree, _VAR_DIR, ignore_errors=True)

# Set before the settings are read, and inherited by the processes that a test starts: they share artifacts and key.
os.environ["RHDASHBOARD_VAR_DIR"] = _VAR_DIR
for _name in (
    "ALLOWED_HOSTS",
    "CELERY_BROKER_URL",
    "DATABASE_URL",
    "DEBUG",
    "EMAIL_URL",
    "HTTPS",
    "SECRET_KEY",
    "SITE_URL",
):
    os.environ.pop(_name, None)

from rhdashboard.settings import *  # noqa: E402
from rhdashboard.settings import _database  # noqa: E402

_url = env.str("TEST_DATABASE_URL", default="")
_config = _database(_url or f"sqlite:///{VAR_DIR / 'db.sqlite3'}")
# Processes are killed, and never the machine: no test has to wait until a commit is on the disk.
if _url:
    # Each thread of a race gets a connection of its own, however many there are.
    _config["OPTIONS"].pop("pool", None)
    _config["OPTIONS"]["options"] = "-c synchronous_commit=off"
else:
    # A file, not memory: backends are called from several threads, and each has to see what the others wrote.
    _config["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    _config["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
DATABASES = {"default": _config}

CELERY_BROKER_URL = env.str("TEST_BROKER_URL", default="memory://")
CELERY_BROKER_TRANSPORT_OPTIONS = {}
# Others use the broker too, and nobody works on what the tests of this process send: see tests/messages.py.
CELERY_TASK_DEFAULT_QUEUE = f"test-{os.getpid()}"
CELERY_TASK_ALWAYS_EAGER = False

# Many runs live inside of a test's own transaction, where the heartbeat sees no lease to renew: it would call it lost.
# And what is decided is carried out at once, but where undoing it is what a test is about. Tests travel in time, which
# looks like a clock that is set forward.
RECOVERY = {**RECOVERY, "LEASE_S": 600.0, "HEARTBEAT_S": 200.0, "UNDO_WINDOW_S": 0.0, "CLOCK_SETTLES_S": 0.0}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
LOGGING = {**LOGGING, "root": {"handlers": ["stderr"], "level": "WARNING"}}
