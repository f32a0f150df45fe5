"""The command line: words in, an exit code out; what a verb does is in `guestwire.api`.

`table` says what a verb, an option and a word are and finds the verbs; `verbs/` has one file for each; `parse` turns
words into the arguments of one verb; `terminal` is what a verb prints with; `main` runs it all and prints the errors.
Nothing here knows of links or files, and nothing here is needed by who uses guestwire from Python.
"""

__all__: list[str] = []
