"""Data planes in user space: what carries frames between descriptors. Nothing here knows a picture or a file.

Descriptors come opened; who opens them is a floor below (`linux/`), and who decides which, floors above.
"""

__all__: list[str] = []
