"""The studio's page and the server it runs on. What its buttons do is in mv/ui/studio.py."""

import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported; without it Python calls out

import gradio as gr
from gradio.data_classes import ImageData
from starlette.middleware import Middleware

from director.casting import MAX_CAST, MAX_LOOKS
from mv import make
from mv.errors import InputError
from mv.jobs import Worker
from mv.ui import edits, pictures
from mv.ui.api import add_verbs
from mv.ui.machine import machine_note
from mv.ui.routes import routes
from mv.ui.spaces import FileDoor, check_accounts
from mv.ui.studio import MAX_STEPS, Page, Studio

STATIC = Path(__file__).parent / "static"
# In this order.
NAMES = ("link", "stage", "timeline", "queue", "keyframes", "inspector", "panels", "folder", "fields", "editor")
SCRIPTS = tuple(f"{name}.js" for name in NAMES)
SONGS = Path(__file__).parents[2] / "assets" / "song"
SONG_TYPES = (".ogg", ".mp3", ".wav", ".flac")
LYRICS_TYPES = [".lrc", ".srt", ".txt"]
THEMES = (
    "neon city at night, a dancer in a red dress",
    "desert at sunset, singer with a guitar",
    "snowy forest by day, nobody in sight",
)
PRIVATE = ("jobs.sqlite3", "jobs.sqlite3-wal", "jobs.sqlite3-shm", "worker.log")  # in the projects' home
MAX_UPLOAD = "300mb"  # an hour of 16-bit stereo wav at 44.1 kHz is 600 MB, of flac about 300
DAY = 86400
ANIMATIC = ("animatic (instant sketch, not the model)", "animatic")


# ---------------------------------------------------------------- layout


class Editor(gr.HTML):
    """The editor itself is static/*.js; it speaks with mv/ui/routes.py. What gradio's events open, a wire tells it."""

    is_template = True  # gradio: in the browser, what it derives from

    def __init__(self, mount: str, **options) -> None:
        super().__init__(
            html_template="<div></div>", js_on_load=mount, apply_default_css=False, padding=False, **options
        )

    def api_info(self) -> dict:
        return {"type": "object"}


EDITOR = "MVStudio.mount(element, {upload});"
WIRE = "MVStudio.wire({props, watch});"


def build(home: Path, worker: Worker, apart: bool = False) -> gr.Blocks:
    """The whole page over the projects in `home`. apart: every user has their own; see mv/ui/spaces.py."""
    with gr.Blocks(title="MV Studio", analytics_enabled=False, fill_width=True, delete_cache=(DAY, DAY)) as blocks:
        parts: dict = dict(
            name=gr.Textbox(visible="hidden", elem_id="project", label="project"),
            news=Editor(WIRE, elem_classes="mv-wire"),
        )
        with gr.Row(elem_id="header"):
            gr.HTML(_BRAND, elem_id="brand")
            parts["picker"] = gr.Dropdown(
                [], label="Open a project", scale=0, min_width=260, container=False, elem_id="picker"
            )
        with gr.Row(elem_id="work"):
            with gr.Column(scale=0, min_width=320, elem_id="wishes"):
                parts |= _wishes_column()
            with gr.Column(scale=1, min_width=320, elem_id="editor-column"):
                parts["editor"] = Editor(EDITOR, elem_id="editor")
                parts["recent"] = gr.HTML("", elem_id="recent")
        blocks.studio = Studio(home, worker, Page(**parts), apart)
        blocks.studio.connect(blocks)
        add_verbs(blocks.studio)
    return blocks


# Its files are made a zip file for the field above it: static/folder.js.
_FOLDER = '<label class="mv-folder">Or a project folder <input id="mv-folder" type="file" webkitdirectory></label>'
_BRAND = '<h1><span class="mark"></span>MV Studio</h1><p>A song in, a music video out.</p>'


def _wishes_column() -> dict:
    parts: dict = dict(
        song=gr.Audio(label="Song", sources=["upload"], type="filepath", editable=False, buttons=[], elem_id="song")
    )
    parts["theme"] = gr.Textbox(
        label="What should it look like?",
        placeholder=THEMES[0],
        lines=2,
        max_length=edits.MAX_PROMPT,
        elem_id="theme",
    )
    sizes = [(f"{name} {w}×{h}", name) for name, aspects in make.SIZES.items() for w, h in [aspects["16:9"]]]
    with gr.Row():
        parts["style"] = gr.Dropdown(style_choices(), value="", label="Style", elem_id="style", min_width=120)
        parts["size"] = gr.Dropdown(sizes, value="standard", label="Quality", elem_id="size", min_width=120)
    parts["aspect"] = gr.Radio(list(make.ASPECTS), value="16:9", label="Aspect", elem_id="aspect")
    parts["model"] = gr.Dropdown(model_choices(), value="mv-mini", label="Model", elem_id="model")
    parts["make"] = gr.Button("Make the video", variant="primary", size="lg", elem_id="make")
    parts["plan"] = gr.Button("Plan only, then edit", elem_id="plan-only")
    songs = [str(path) for path in sorted(SONGS.glob("*")) if path.suffix in SONG_TYPES]
    if songs:
        examples = [[songs[i % len(songs)], theme] for i, theme in enumerate(THEMES)]
        labels = [f"{Path(song).stem.replace('_', ' ')} · {theme.partition(',')[0]}" for song, theme in examples]
        gr.Examples(
            examples,
            [parts["song"], parts["theme"]],
            label="Or try one of these",
            example_labels=labels,
            elem_id="examples",
        )
    gr.HTML(machine_note(), elem_id="machine")
    with gr.Accordion("Reference image, lyrics, seed and more", open=False):
        parts["image"] = ReferenceImage(
            label="Reference image: its colour becomes the light, a person in it the performer",
            type="filepath",
            height=150,
            elem_id="image",
        )
        files, told, choosers = pictures.layout()
        parts["pictures"] = [files, told, *choosers]
        parts["cast"] = gr.Textbox(
            "",  # not None while the fold has never been opened
            label="Cast: one performer a line, the lead first",
            placeholder="Mira: long red hair, green dress",
            lines=2,
            max_length=MAX_CAST * (MAX_LOOKS + 50),
            elem_id="cast",
        )
        parts["lyrics"] = gr.File(
            label="Lyrics: LRC or SRT with times, or plain text", file_types=LYRICS_TYPES, type="filepath", height=90
        )
        parts["pace"] = gr.Slider(0.5, 2, 1, step=0.1, label="Pace of the cuts", elem_id="pace")
        with gr.Row():
            parts["seed"] = gr.Number(
                -1, label="Seed (−1: any)", precision=0, minimum=-1, maximum=2**32 - 1, elem_id="seed", min_width=110
            )
            parts["fps"] = gr.Dropdown(["24", "25", "30"], value="24", label="Frames a second", min_width=110)
        parts["steps"] = gr.Number(
            0, label="Steps", info="0: the model's own", precision=0, minimum=0, maximum=MAX_STEPS, elem_id="steps"
        )
        parts["archive"] = gr.File(
            label="Open a project from a zip", file_types=[".zip"], type="filepath", height=110, elem_id="archive"
        )
        gr.HTML(_FOLDER, elem_id="folder")
    return parts


class ReferenceImage(gr.Image):
    """Hands on the uploaded file as it is: the program reads it itself and says in its own words what is wrong."""

    is_template = True  # gradio: in the browser, what it derives from

    def preprocess(self, payload: ImageData | None) -> str | None:
        return payload.path if payload else None


def style_choices() -> list[tuple[str, str]]:
    """(label, name) of the director's styles; none: the music alone decides."""
    from director.vocabulary import STYLES

    return [("as the music says", ""), *((name, name) for name in STYLES)]


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
        body_text_color_subdued="*neutral_600",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_300",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


def parse_auth(auth: str | Sequence[str] | None, needed: bool) -> list[tuple[str, str]] | None:
    """ "user:password", one or several → both of each. Raises InputError where one is malformed, or none is there
    though others can reach the page."""
    if auth is None or auth == []:
        if needed:
            raise InputError("--listen and --share let others in: set a password with --auth user:password")
        return None
    accounts = []
    for one in [auth] if isinstance(auth, str) else auth:
        user, colon, password = one.partition(":")
        if not (user and colon and password):
            raise InputError("--auth: expected user:password, both not empty")
        accounts.append((user, password))
    if len(accounts) > 1:
        check_accounts([user for user, _ in accounts])
    return accounts


def launch(
    output_dir: str | Path | None = None,
    listen: bool = False,
    port: int | None = None,
    share: bool = False,
    auth: str | Sequence[str] | None = None,
    inbrowser: bool = False,
    block: bool = True,
) -> gr.Blocks:
    """Serve the studio on 127.0.0.1 until interrupted.

    output_dir: where projects are kept, None for ./projects (or MV_HOME). listen: on every network interface; share:
    through a public address of gradio's; both need auth: "user:password", of several users a list of them, each of whom
    has projects of their own then. port None: the first free one from 7860.
    block False returns at once; then `.close()` and `.studio.stop()` end it. Raises InputError, OutputError.
    """
    credentials = parse_auth(auth, needed=listen or share)
    home = Path(output_dir or make.projects_home()).absolute()
    os.environ["MV_HOME"] = str(home)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(home / "uploads"))
    worker = Worker(home)
    blocks = build(home, worker, apart=credentials is not None and len(credentials) > 1)
    worker.keep(blocks.studio.store)  # what was interrupted last time goes on
    try:
        blocks.queue(default_concurrency_limit=2).launch(
            server_name="0.0.0.0" if listen else "127.0.0.1",
            server_port=port,
            share=share,
            auth=credentials,
            inbrowser=inbrowser,
            prevent_thread_lock=True,
            allowed_paths=[str(home)],
            blocked_paths=[str(home / name) for name in PRIVATE],
            max_file_size=MAX_UPLOAD,
            show_error=True,
            footer_links=["settings"],
            theme=theme(),
            css=(STATIC / "studio.css").read_text(),
            app_kwargs={
                "routes": routes(blocks.studio),
                "middleware": [Middleware(FileDoor, spaces=blocks.studio.spaces)],
            },
            head="".join(f"<script>{(STATIC / name).read_text()}</script>" for name in SCRIPTS),
        )
    except OSError as error:
        blocks.studio.stop()
        raise InputError(f"--port: cannot listen on {port}: {error}") from None
    if block:
        _serve(blocks)
    return blocks


def _serve(blocks: gr.Blocks) -> None:
    try:
        blocks.block_thread()
    finally:
        blocks.studio.stop()
