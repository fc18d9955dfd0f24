"""The same project for an ASGI server; event streams will be served from here."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rhdashboard.settings")

application = get_asgi_application()
