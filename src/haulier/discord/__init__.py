"""Files brought into channels of Discord, by the client discord.py."""
