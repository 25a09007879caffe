from running_server import server  # noqa: F401 - pytest finds fixtures by name
