"""The studio's verbs for scripts, through gradio's API: analyze, plan, render, status, download.

    from gradio_client import Client, handle_file
    studio = Client("http://127.0.0.1:7860")
    project = studio.predict(handle_file("song.mp3"), "neon city", api_name="/plan")
    studio.predict(project, api_name="/status")      # until its state is done
    studio.predict(project, api_name="/render")      # then status again
    studio.predict(project, api_name="/download")    # where the film is, below the studio's address

Songs are uploaded: a path of the studio's machine is refused. Errors come as gradio errors of one line.
"""

from urllib.parse import quote

import gradio as gr

from mv import make
from mv.errors import InputError, MusicVideoError
from mv.ui.desk import music_part
from mv.ui.studio import Studio, job_part, without_folders
from mv.ui.uploads import uploaded


def add_verbs(studio: Studio) -> None:
    """To be called inside the page's Blocks."""

    def analyze(song: dict) -> dict:
        """What is heard in a song: duration, tempo, beats, sections, lyrics, energy. Takes a fraction of its length."""
        return _told(lambda: music_part(make.analyze(_uploaded(song))))

    def plan(
        request: gr.Request,
        song: dict,
        theme: str = "",
        aspect: str = "16:9",
        size: str = "standard",
        fps: str = "24",
        seed: int = -1,
        model: str = "mv-mini",
    ) -> str:
        """Begin a project: listen to the song and plan its shots. Returns the project's name; see status."""

        def begin() -> str:
            wishes = dict(theme=theme, aspect=aspect, size=size, fps=fps, model=model)
            project, _ = studio.prepare(_uploaded(song), seed, user=request.username or "", **wishes)
            studio.submit(project, "plan")
            return project.name

        return _told(begin)

    def render(request: gr.Request, project: str, shots: list[str] | None = None) -> dict:
        """Render the shots of these ids, or whatever changed, and put the film together. Returns status."""

        def begin() -> dict:
            opened = studio.spaces.open(project, request.username or "")
            if not opened.planned:
                raise InputError("this project has no plan yet; wait until its planning is done")
            studio.render(opened, shots)
            return job_part(studio.store.status(project))

        return _told(begin)

    def status(request: gr.Request, project: str) -> dict:
        """state (queued, running, paused, done, failed, cancelled), words, progress 0..1, and the shots still to do."""

        def look() -> dict:
            opened = studio.spaces.open(project, request.username or "")
            changed = len(opened.to_render()) if opened.planned else None
            return {**job_part(studio.store.status(project)), "shots_to_render": changed}

        return _told(look)

    def download(request: gr.Request, project: str) -> str:
        """Where the newest film is: an address below the studio's own."""

        def find() -> str:
            film = studio.spaces.open(project, request.username or "").film()
            if film is None:
                raise InputError("there is no film yet; render the project first")
            return "gradio_api/file=" + quote(str(film))

        return _told(find)

    for verb in (analyze, plan, render, status, download):
        gr.api(verb, api_name=verb.__name__)


def _uploaded(song: object) -> str:
    return str(uploaded(song.get("path") if isinstance(song, dict) else None))


def _told(work):
    try:
        return work()
    except MusicVideoError as error:
        raise gr.Error(without_folders(str(error)), print_exception=False) from None
