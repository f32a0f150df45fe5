"""For people: a picture drawn as the chains of links that the field's own diagrams show, as text and as SVG.

`chains` decides what hangs on what; `text` and `svg` each draw that. Nothing here reads the host, or writes anywhere.
"""

from guestwire.show.chains import Chains, Node, Role, chains
from guestwire.show.svg import svg
from guestwire.show.text import text

__all__ = ["Chains", "Node", "Role", "chains", "svg", "text"]
