"""Upload sessions at work: bytes to their place, acknowledged when safe, finished by a rename."""
