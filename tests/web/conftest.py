# pytest finds fixtures by name
from web_visitors import browser, playwright, server, violations, visitors  # noqa: F401
