"""What a file is, and how to make it smaller: types, images, video, audio, documents, scans.

Whatever decodes a file that others made runs in worker processes (`isolation`); ffmpeg's command
lines are built nowhere else.
"""
