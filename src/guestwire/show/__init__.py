"""For people: a picture drawn as the chains of links that the field's own diagrams show, as text and as SVG; and words.

`chains` decides what hangs on what; `text` and `svg` each draw that. Nothing here reads the host, or writes anywhere.
"""

__all__: list[str] = []
