"""Upload sessions as pure thought: what has arrived, what may come next, when a file is whole.

Nothing here reads or writes; the drivers around it (`haulier.transfer.sessions`) do, under a lock
for each session.
"""
