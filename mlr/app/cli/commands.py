"""Help and arguments of the commands that read runs.

Each function declares the parameters of the `main` in `HOMES`; its docstring is the help.
"""

from __future__ import annotations

from argparse import ArgumentParser

HOMES = {
    "board": "mlr.app.board.command",
    "compare": "mlr.analysis.compare.command",
    "explain": "mlr.app.remedies.command",
    "export": "mlr.app.trained.export",
    "figures": "mlr.app.figures.command",
    "predict": "mlr.app.trained.predict",
    "report": "mlr.analysis.report.command",
    "verify": "mlr.analysis.verify.command",
}
"""Modules whose `main` runs a command; imported then, because numpy and torch take seconds."""
FOLDER = "of a run, of a sweep, or above them"


def board(parser: ArgumentParser) -> None:
    """Open TensorBoard on runs, in the browser, with the charts that tell most on top.

    mlr board
    mlr board runs/2026-01-31/12-00-00-abcdef
    """
    parser.add_argument("folder", nargs="?", default="runs", help=f"{FOLDER} (default: runs)")
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address only"
    )
    parser.add_argument(
        "--all",
        dest="every",
        action="store_true",
        help="show every run; of more than 500, TensorBoard ticks none at first",
    )


def compare(parser: ArgumentParser) -> None:
    """Compare runs: a table by head and loss, or any other key, over seeds.

    mlr compare runs/2026-01-31/12-00-00-abcdef
    mlr compare runs --by model,optimizer.lr --metric loss/val --csv -
    """
    parser.add_argument("places", metavar="folder", nargs="+", help=FOLDER)
    parser.add_argument(
        "--by",
        metavar="KEY[,KEY]",
        default="head,loss",
        help="what tells rows apart: head, loss, pair, model, data, lr, or any other key of the "
        "configuration (default: head, loss and whatever else varies); if lr is not among them, "
        "each row shows the lr that is best on validation data",
    )
    parser.add_argument(
        "--metric",
        metavar="TAG",
        help="final number to rank by (default: accuracy/test; for several labels f1_micro/test; "
        "for a regression loss/test, or rmse/test if losses differ)",
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="order of the rows: a key of --by or a column of --csv, the smallest first (default: "
        "the best first)",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="write all numbers to a CSV file; - prints them instead of the table",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="likewise to a JSON file, with every unfinished run"
    )


def explain(parser: ArgumentParser) -> None:
    """Say what is wrong with runs, in plain words, with the evidence and the remedy.

    mlr explain runs/2026-01-31/12-00-00-sigmoid+se-1a2b3c
    mlr explain runs/<sweep> --json
    mlr explain runs/2026-01-31/12-00-00-sigmoid+se-1a2b3c --try
    mlr explain lightning_logs/version_0 --tag loss/val=dev_cost
    """
    parser.add_argument(
        "place",
        metavar="folder",
        help=f"{FOLDER}; or TensorBoard event files of any program, of which only the curves of "
        "loss, accuracy and learning rate are explained",
    )
    parser.add_argument(
        "words",
        metavar="allow_targets=[NAME]",
        nargs="*",
        help="of --try: lets a run's own parts be imported",
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--exit-code",
        dest="exit_code",
        action="store_true",
        help="exit with 1 if a fault is certain, and with 0 if none is, for tests and CI",
    )
    parser.add_argument(
        "--try",
        dest="trial",
        action="store_true",
        help="train each remedy and the run as it is, with 8 seeds and without leaving files, and "
        "say which remedy helps; it ends after 10 minutes at most",
    )
    parser.add_argument(
        "--tag",
        dest="tags",
        metavar="ROLE=TAG",
        action="append",
        default=[],
        help="in event files of other programs: says which tag is loss/train, loss/val, "
        "accuracy/train, accuracy/val or learning_rate; may be repeated",
    )


def export(parser: ArgumentParser) -> None:
    """Export a trained run as a program that needs no mlr.

    mlr export runs/2026-01-31/12-00-00-abcdef
    mlr export runs/2026-01-31/12-00-00-abcdef --onnx --to served
    """
    parser.add_argument("folder", help="of a run")
    _allowed(parser)
    parser.add_argument(
        "--to", metavar="DIR", help="folder of the files (default: export in the run's folder)"
    )
    parser.add_argument(
        "--onnx", action="store_true", help="write model.onnx too, which needs the extra onnx"
    )


def figures(parser: ArgumentParser) -> None:
    """Draw runs, sweeps and pairs of head and loss into files for slides and papers.

    mlr figures runs/2026-01-31/12-00-00-abcdef
    mlr figures sigmoid+se sigmoid+bce --to slides --format pdf
    mlr figures runs/2026-01-31/12-00-00-sigmoid+se-1a2b3c --format gif
    """
    parser.add_argument(
        "sources",
        metavar="source",
        nargs="+",
        help=f"folder {FOLDER}; or a pair, as sigmoid+se; allow_targets=[NAME] lets a run's own "
        "parts be imported",
    )
    parser.add_argument(
        "--to",
        metavar="DIR",
        help="folder of the files (default: figures in the folder that is drawn; of pairs or of "
        "several folders, figures here)",
    )
    parser.add_argument(
        "--format",
        dest="formats",
        metavar="NAME[,NAME]",
        default="svg,png",
        help="svg, pdf, png, pgf (which needs LaTeX); gif, webp, apng animate one run, which is "
        "trained again for it (default: svg,png)",
    )


def predict(parser: ArgumentParser) -> None:
    """Predict a file by a trained run, and judge predictions if it has targets.

    mlr predict runs/2026-01-31/12-00-00-abcdef new.csv
    mlr predict runs/2026-01-31/12-00-00-abcdef images --output digits.csv
    """
    parser.add_argument("folder", help="of a run")
    parser.add_argument(
        "source",
        metavar="file",
        help="a CSV file with the columns of the training, in any order; an .npz or .npy file; an "
        "IDX file; an image, or a folder of images",
    )
    _allowed(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        default="predictions.csv",
        help="the predictions, a line an example (default: predictions.csv); - prints them",
    )


def _allowed(parser: ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="allow_targets=[NAME]",
        nargs="*",
        help="lets a run's own parts be imported",
    )


def report(parser: ArgumentParser) -> None:
    """Write a report of a run or a sweep: one HTML page, which works offline.

    mlr report runs/2026-01-31/12-00-00-abcdef
    mlr report runs/2026-01-31/12-00-00-abcdef --out report.html
    """
    parser.add_argument("place", metavar="folder", help=FOLDER)
    parser.add_argument("--out", metavar="FILE", help="default: report.html in that folder")


def verify(parser: ArgumentParser) -> None:
    """Verify runs: every file against its checksum, what is damaged, and what to do.

    mlr verify runs/2026-01-31/12-00-00-abcdef
    mlr verify runs
    """
    parser.add_argument("places", metavar="folder", nargs="+", help=FOLDER)
