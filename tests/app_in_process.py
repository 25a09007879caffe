"""The server's application in the test's own process."""

from functools import cache

from haulier.server.app import create_app
from haulier.settings import Settings


@cache
def _application():
    return create_app(Settings.load())


def app_with(services):
    """Return the application with these services.

    It is one for all: building its routes takes longer than most of what is asked of it.
    """
    app = _application()
    app.state.services = services
    app.dependency_overrides.clear()
    return app
