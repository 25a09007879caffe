"""haulier's application mounted in another one, below a path, and served by a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from haulier.core.accounts import Role
from haulier.server.app import create_app
from haulier.server.services import open_services
from haulier.settings import Settings
from people import add_people
from web_visitors import PASSWORD


@contextmanager
def mounted(data: Path, prefix: str) -> Iterator[str]:
    """Serve it with ann as a user; what is given is the address of the other application."""
    add_people(data, {"ann": (Role.USER, None)}, password=PASSWORD)
    settings = Settings.load(data=data)

    @asynccontextmanager
    async def running(app: FastAPI):
        async with open_services(settings) as services:
            inner.state.services = services
            yield

    inner = create_app(settings)
    around = FastAPI(lifespan=running)
    around.mount(prefix, inner)
    config = uvicorn.Config(around, host="127.0.0.1", port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            assert thread.is_alive(), "it did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
