from server_stores import files_server  # noqa: F401 - pytest finds fixtures by name
