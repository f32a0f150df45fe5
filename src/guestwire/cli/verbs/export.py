"""`guestwire export`: what a file asks for, in others' words."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, LAB, PROJECT, Argument, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "export",
    "what a file asks for, in others' words",
    (
        FILE,
        LAB,
        PROJECT,
        Argument(
            "--to",
            "whose words: `libvirt`, XML of networks, host interfaces and domains' NICs",
            value="NAME",
            choices=("libvirt",),
            default="libvirt",
        ),
        Argument("--into", "write each document to a file in FOLDER, which is made", value="FOLDER"),
    ),
    details="""\
Without --into all documents are printed, each after a line with its file's name and the command that applies it. What
the other format can't express is said in a remark. A file that ends in .xml, as `virsh net-dumpxml` prints it, is
read and written back.""",
    examples=(
        ("guestwire export --to libvirt --into xml", "then `virt-xml-validate xml/demo-lan.xml network`"),
        ("guestwire export network.xml", "libvirt's own XML, as guestwire understands it"),
    ),
)


def run(args: Namespace) -> int:
    """Print it, or write it to files."""
    from guestwire import api
    from guestwire.cli.terminal import emit, tell
    from guestwire.export import exporter
    from guestwire.show.exported import document, printed, write

    found = api.export(args.file, to=args.to, lab=args.lab, project=args.project, netns=args.netns)
    if args.into is not None:
        write(found, args.into)
    if args.into is not None and not args.quiet:
        tell("".join(f"warning: {warning}\n" for warning in found.warnings))
    remark = exporter(args.to).remark
    emit(args, document(found), lambda: printed(found, remark, args.into))
    return 0
