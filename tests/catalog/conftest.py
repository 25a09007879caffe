from catalogs import (  # noqa: F401 - pytest finds fixtures by name
    catalog,
    catalog_url,
    empty_postgres,
    migrated_postgres,
    no_catalog_url,
)
