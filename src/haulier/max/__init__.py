"""Bots of the MAX messenger: messages, files of any size, polling and webhooks."""
