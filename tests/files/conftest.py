from catalogs import catalog, catalog_url, empty_postgres  # noqa: F401 - pytest finds fixtures by name
