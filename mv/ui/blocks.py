"""The studio's page and the server it runs on. What its buttons do is in mv/ui/studio.py."""

import os
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported; without it Python calls out

import gradio as gr
from gradio.data_classes import ImageData

from mv import make
from mv.errors import InputError
from mv.jobs import Worker
from mv.ui import edits
from mv.ui.studio import Page, Studio, status_html

STATIC = Path(__file__).parent / "static"
SONGS = Path(__file__).parents[2] / "assets" / "song"
MAX_UPLOAD = "300mb"  # an hour of 16-bit stereo wav at 44.1 kHz is 600 MB, of flac about 300
POLL = 0.5  # seconds
DAY = 86400
ANIMATIC = ("animatic (instant sketch, not the model)", "animatic")
TABLE_TYPES = ["number", "str", "str", "str", "str", "str", "number", "str", "str", "number", "bool"]
TABLE_WIDTHS = [46, 80, 84, 90, 82, 116, 82, 330, 116, 108, 100]


# ---------------------------------------------------------------- layout


def build(home: Path, worker: Worker) -> gr.Blocks:
    """The whole page over the projects in `home`."""
    with gr.Blocks(title="MV Studio", analytics_enabled=False, fill_width=True, delete_cache=(DAY, DAY)) as blocks:
        parts: dict = dict(
            name=gr.Textbox(visible="hidden", elem_id="project", label="project"),
            seen=gr.State({}),
            selected=gr.State(0),
            timer=gr.Timer(POLL, active=False),
        )
        with gr.Row(elem_id="header"):
            gr.HTML(_BRAND, elem_id="brand")
            parts["picker"] = gr.Dropdown([], label="Open a project", scale=0, min_width=320, elem_id="picker")
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                parts |= _wishes_column()
            with gr.Column(scale=3, min_width=320):
                parts |= _film_column()
        with gr.Column(visible=False, elem_id="plan-box") as parts["plan_box"]:
            parts |= _plan_row()
        blocks.studio = Studio(home, worker, Page(**parts))
        blocks.studio.connect(blocks)
    return blocks


_BRAND = (
    '<h1><span class="mark"></span>MV Studio</h1><p>A song in, a music video out. Edit the shot plan, render again.</p>'
)


def _wishes_column() -> dict:
    song = gr.Audio(label="Song", sources=["upload"], type="filepath", editable=False, buttons=[], elem_id="song")
    parts: dict = dict(song=song)
    examples = [[str(path)] for path in sorted(SONGS.glob("*")) if path.suffix in (".ogg", ".mp3", ".wav", ".flac")]
    if examples:
        labels = [Path(path).stem.replace("-", " ").replace("_", " ") for [path] in examples]
        gr.Examples(examples, parts["song"], label="Or try one of these", example_labels=labels, elem_id="examples")
    parts["theme"] = gr.Textbox(
        label="What should it look like?",
        placeholder="neon city at night, a dancer in a red dress",
        lines=2,
        max_length=edits.MAX_PROMPT,
        elem_id="theme",
    )
    parts["aspect"] = gr.Radio(list(make.ASPECTS), value="16:9", label="Aspect", elem_id="aspect")
    sizes = [(f"{name} {w}×{h}", name) for name, aspects in make.SIZES.items() for w, h in [aspects["16:9"]]]
    with gr.Row():
        parts["size"] = gr.Dropdown(sizes, value="standard", label="Quality", elem_id="size", min_width=160, scale=1)
        parts["seed"] = gr.Number(-1, label="Seed (−1: any)", precision=0, elem_id="seed", min_width=140, scale=1)
    parts["model"] = gr.Dropdown(model_choices(), value="mv-mini", label="Model", elem_id="model")
    with gr.Accordion("Reference image and more", open=False):
        parts["image"] = ReferenceImage(
            label="Reference image: its colour becomes the light, a person in it the performer",
            type="filepath",
            height=150,
            elem_id="image",
        )
        with gr.Row():
            parts["fps"] = gr.Dropdown(["24", "25", "30"], value="24", label="Frames a second", min_width=110)
            parts["steps"] = gr.Number(
                0, label="Steps", info="0: the model's own", precision=0, minimum=0, min_width=110
            )
    parts["make"] = gr.Button("Make the video", variant="primary", size="lg", elem_id="make")
    parts["plan"] = gr.Button("Plan only", elem_id="plan-only")
    return parts


class ReferenceImage(gr.Image):
    """Hands on the uploaded file as it is: the program reads it itself and says in its own words what is wrong."""

    is_template = True  # gradio: in the browser, what it derives from

    def preprocess(self, payload: ImageData | None) -> str | None:
        return payload.path if payload else None


def _film_column() -> dict:
    with gr.Row(equal_height=True):
        status = gr.HTML(status_html(None), elem_id="status", scale=5)
        cancel = gr.Button("Cancel", variant="stop", visible=False, scale=1, min_width=90, elem_id="cancel")
    return dict(
        status=status,
        cancel=cancel,
        film=gr.Video(label="Film", interactive=False, buttons=["download"], elem_id="film", visible=False),
        facts=gr.HTML("", elem_id="facts"),
        analysis=gr.Image(
            label="What was heard",
            interactive=False,
            show_label=False,
            buttons=[],
            elem_id="analysis",
            visible=False,
            container=False,
            alt_text="Waveform with sections, energy, beats and downbeats over the time of the song",
        ),
    )


def _plan_row() -> dict:
    gr.HTML(
        "<h3>Shot plan</h3><p>The pictures are storyboard sketches of each shot's middle, drawn by the stage world: "
        "not frames of the film. Click one to see why the shot is as it is.</p>",
        elem_id="plan-heading",
    )
    parts: dict = {}
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            parts["storyboard"] = gr.Gallery(
                label="Storyboard sketches",
                show_label=False,
                columns=5,
                fit_columns=False,
                object_fit="contain",
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_id="storyboard",
            )
        with gr.Column(scale=2, min_width=320):
            parts["shot"] = gr.HTML("", elem_id="shot")
            with gr.Row(elem_classes="mv-row"):
                parts["split"] = gr.Button("Split", size="sm", min_width=70, elem_id="split")
                parts["merge"] = gr.Button("Merge with next", size="sm", min_width=70, elem_id="merge")
                parts["delete"] = gr.Button("Delete", size="sm", min_width=70, elem_id="delete")
            with gr.Row(elem_classes="mv-row", elem_id="cut-row"):
                parts["start"] = gr.Number(label="Starts at (s)", precision=3, min_width=110, elem_id="start")
                parts["snap"] = gr.Checkbox(True, label="on a beat", min_width=110, container=False, elem_id="snap")
                parts["move"] = gr.Button("Move the cut", size="sm", min_width=110, elem_id="move")
    parts["table"] = gr.Dataframe(
        headers=list(edits.COLUMNS),
        datatype=TABLE_TYPES,
        type="array",
        interactive=True,
        static_columns=list(range(edits.READ_ONLY)),
        column_widths=TABLE_WIDTHS,
        show_label=False,
        buttons=["fullscreen"],
        max_height=420,
        elem_id="table",
    )
    moves = ", ".join(str(kind) for kind in edits.MoveKind)
    gr.HTML(
        f"<p>size: wide, medium, close · move: {moves} · amount: 0 to 2 · transition: cut, or crossfade and its "
        "frames, such as crossfade 12</p>",
        elem_id="table-words",
    )
    with gr.Row(elem_classes="mv-row"):
        parts["apply"] = gr.Button("Apply edits", elem_id="apply", scale=2, min_width=120)
        parts["undo"] = gr.Button("Undo", elem_id="undo", scale=1, min_width=80, interactive=False)
        parts["redo"] = gr.Button("Redo", elem_id="redo", scale=1, min_width=80, interactive=False)
        parts["render"] = gr.Button("Render what changed", variant="primary", elem_id="render", scale=4, min_width=270)
        parts["film_file"] = gr.DownloadButton(
            "Download film", visible=False, elem_id="film-file", scale=2, min_width=150
        )
        parts["plan_file"] = gr.DownloadButton("Download plan.json", elem_id="plan-file", scale=2, min_width=170)
    return parts


def model_choices() -> list[tuple[str, str]]:
    """(label, name) of every model of the catalogue and of the animatic, which is none."""
    from mv.model.catalog import MODELS

    named = [(name if spec.installed else f"{name} (weights are missing)", name) for name, spec in MODELS.items()]
    return [*named, ANIMATIC]


# ---------------------------------------------------------------- the server


def theme() -> gr.Theme:
    """System fonts only: nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.rose,
        secondary_hue=gr.themes.colors.amber,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    ).set(
        block_border_width="1px",
        block_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_500",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


def parse_auth(auth: str | None, needed: bool) -> tuple[str, str] | None:
    """ "user:password" → both. Raises InputError where it is malformed, or missing though others can reach the page."""
    if auth is None:
        if needed:
            raise InputError("--listen and --share let others in: set a password with --auth user:password")
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise InputError("--auth: expected user:password, both not empty")
    return user, password


def launch(
    output_dir: str | Path | None = None,
    listen: bool = False,
    port: int | None = None,
    share: bool = False,
    auth: str | None = None,
    inbrowser: bool = False,
    block: bool = True,
) -> gr.Blocks:
    """Serve the studio on 127.0.0.1 until interrupted.

    output_dir: where projects are kept, None for ./projects (or MV_HOME). listen: on every network interface; share:
    through a public address of gradio's; both need auth ("user:password"). port None: the first free one from 7860.
    block False returns at once; then `.close()` and `.studio.worker.stop()` end it. Raises InputError, OutputError.
    """
    credentials = parse_auth(auth, needed=listen or share)
    home = Path(output_dir or make.projects_home()).absolute()
    os.environ["MV_HOME"] = str(home)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(home / "uploads"))
    worker = Worker(home)
    blocks = build(home, worker)
    worker.ensure()  # what was interrupted last time goes on
    try:
        blocks.queue(default_concurrency_limit=2).launch(
            server_name="0.0.0.0" if listen else "127.0.0.1",
            server_port=port,
            share=share,
            auth=credentials,
            inbrowser=inbrowser,
            prevent_thread_lock=True,
            allowed_paths=[str(home)],
            blocked_paths=[str(home / "jobs.sqlite3"), str(home / "worker.log")],
            max_file_size=MAX_UPLOAD,
            show_error=True,
            footer_links=["settings"],
            theme=theme(),
            css=(STATIC / "studio.css").read_text(),
            head=f"<script>{(STATIC / 'studio.js').read_text()}</script>",
        )
    except OSError as error:
        worker.stop()
        raise InputError(f"--port: cannot listen on {port}: {error}") from None
    if block:
        _serve(blocks)
    return blocks


def _serve(blocks: gr.Blocks) -> None:
    try:
        blocks.block_thread()
    finally:
        blocks.studio.worker.stop()
