"""python app.py: the studio in the browser."""

import argparse
import sys

from mv.errors import MusicVideoError


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from mv.ui.blocks import launch

    try:
        launch(**vars(options))
    except MusicVideoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python app.py", description="MV Studio: a song in, a music video out.")
    parser.add_argument("--listen", action="store_true", help="serve other machines too (needs --auth)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="a public address through gradio's servers (needs --auth)")
    parser.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        action="append",
        help="ask for a name and a password; given several times, each user has projects of their own",
    )
    parser.add_argument("--inbrowser", action="store_true", help="open the browser")
    parser.add_argument("--output-dir", metavar="FOLDER", help="where projects are kept (default: ./projects)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
