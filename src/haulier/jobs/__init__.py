"""Work that is done after the answer: claimed from the catalog's outbox and carried out."""
