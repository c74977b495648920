"""How quick the studio is: edits of a plan of 200 shots while a rendering runs, cancelling it, scrolling a song of 20
minutes, and from a song to its animatic.

    python bench/studio.py                           all but the last, in a real Chromium; prints one JSON line each
    python bench/studio.py --upload ../shared/music/fd_raging_sun/audio.ogg                from the song to its animatic
    python bench/studio.py --only cancel --model mv-mini                                cancelling the model's rendering

upload: seconds from the song's file chosen (then Plan is pressed at once) to the plan on the page, to the first shot
that plays, and to the whole animatic; how long the processor worked for it; and whether the song then plays under it.
cancel: seconds from the click on Cancel to the page that says so, with a shot in work each time. animatic: from an edit
of a shot's words to its new animatic on the page, seconds. edit: from the pointer's release to Python's answer shown on
the page, milliseconds, and beside it the same gesture with an empty post (floor). in process: an edit without page and
network, wall and CPU milliseconds. scroll: pictures a second while the timeline is scrolled from end to end, zoomed in,
with 600 shots, and what the page's main thread spends on a picture, milliseconds: on the CPU as the system counts it,
and waiting for one, which is the machine's load and not the page's work; and what the whole browser spends. The load of
the machine stands beside them. Needs playwright and Chromium (CHROMIUM names it), and Linux for the times of processes.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import wave
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from mv.schema import CURVES, Analysis, CameraMove, MoveKind, Reason, Section, Shot, ShotSize, Timeline
from mv.ui import strips
from mv.ui.project import Project

FPS, BPM, SECTION = Fraction(24), 120, 16.0  # SECTION in seconds
LABELS = ("intro", "verse", "chorus", "verse", "chorus", "bridge", "chorus", "outro")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]


def make_project(home: Path, seconds: float, num_shots: int, model: str = "animatic") -> Project:
    """A song of clicks with a plan of equal shots; every sheet of the animatic is there (all alike)."""
    os.environ["MV_HOME"] = str(home)
    song = home / "clicks.wav"
    home.mkdir(parents=True, exist_ok=True)
    with wave.open(str(song), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        t = np.arange(round(8000 * seconds)) / 8000
        file.writeframes((20000 * np.exp(-(t % 0.5) * 40) * np.sin(2 * np.pi * 440 * t)).astype("<i2").tobytes())
    project = Project.start(song, None, model=model, size="hd")
    analysis = analysis_of(seconds)
    analysis.save(project.folder / "analysis.json")
    project.adopt(plan_of(analysis, num_shots, project.folder / song.name))
    strips.save_peaks(song, project.folder)
    plan = project.plan()
    strips.save_strip(project.folder, plan, 0, analysis)
    sheet = strips.strip_path(project.folder, strips.shot_signature(plan, 0))
    for index in strips.missing(project.folder, plan):
        shutil.copyfile(sheet, strips.strip_path(project.folder, strips.shot_signature(plan, index)))
    return project


def analysis_of(seconds: float) -> Analysis:
    beats = [60 * k / BPM for k in range(int(seconds * BPM / 60))]
    starts = np.arange(0, seconds, SECTION)
    sections = [
        Section(start=float(s), duration=float(min(SECTION, seconds - s)), label=LABELS[i % len(LABELS)])
        for i, s in enumerate(starts)
    ]
    wave_of = (0.5 + 0.4 * np.sin(np.arange(int(seconds * 40)) / 200)).round(3).tolist()
    return Analysis(
        duration=seconds, tempo=BPM, beats=beats, downbeats=beats[::4], sections=sections, feature_rate=40,
        features={name: wave_of for name in CURVES},
    )  # fmt: skip


def plan_of(analysis: Analysis, num_shots: int, song: Path) -> Timeline:
    num_frames = round(analysis.duration * FPS)
    cuts = [round(i * num_frames / num_shots) for i in range(num_shots + 1)]
    prompt = "medium shot, city street at night, cyan light, performer with silver hair, red dress, dancing"
    evidence = "a sentence of the usual length, so that files are as large as those of a song"
    decisions = ("boundary", "scene", "light", "cast", "action", "size", "move", "beat", "transition")
    why = [Reason(decision=decision, choice="as in the bench", evidence=evidence) for decision in decisions]
    sizes, moves = list(ShotSize), list(MoveKind)
    shots = [
        Shot(
            id=f"s{i:03d}",
            start=start,
            duration=end - start,
            section=analysis.section_at(float(start / FPS)),
            seed=i,
            size=sizes[i % 3],
            prompt=prompt,
            camera=CameraMove(kind=moves[i % len(moves)]),
            reasons=why,
        )
        for i, (start, end) in enumerate(zip(cuts, cuts[1:]))
    ]
    folder = song.parent
    return Timeline(
        title="bench", song=str(song), analysis=str(folder / "analysis.json"), fps=FPS, width=1280, height=704,
        num_frames=num_frames, shots=shots,
    )  # fmt: skip


def measure_edits(page, num_edits: int) -> dict:
    """Drags of boundaries by hand, one after the other. Every other one ends in an empty post instead of an edit: what
    the gesture, the page's drawing and the way to the server and back take without any work of the studio (floor)."""
    page.evaluate("MVStudio.timeline.zoom(6)")
    page.wait_for_timeout(500)
    page.evaluate("MVStudio.timeline.snapping = false")
    page.evaluate("MVStudio.link.latencies.length = 0")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.mv-handle')].map((n) => n.getBoundingClientRect())"
        ".filter((b) => b.left > 60 && b.left < innerWidth - 60).map((b) => [b.left + 4, b.top + 30])"
    )
    page.evaluate(FLOOR)
    for i in range(num_edits):
        x, y = boxes[i % len(boxes)]
        x += 0 if i // len(boxes) % 2 == 0 else 6
        for empty in (True, False):
            page.evaluate("(empty) => { window.empty = empty; }", empty)
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + (6 if i // len(boxes) % 2 == 0 else -6), y, steps=3)
            page.mouse.up()
            page.wait_for_function("MVStudio.link.pending.size === 0 && !window.posting")
            page.wait_for_timeout(60)
    floors = page.evaluate("window.floors")
    times, floors = sorted(page.evaluate("MVStudio.link.latencies")), sorted(floors)
    return {
        "edits": len(times),
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(0.95 * (len(times) - 1))], 1),
        "worst_ms": round(times[-1], 1),
        "floor_median_ms": round(statistics.median(floors), 1),
        "floor_p95_ms": round(floors[int(0.95 * (len(floors) - 1))], 1),
    }


FLOOR = """() => {
  const link = MVStudio.link, edit = link.edit;
  window.floors = [];
  link.edit = async (op) => {
    if (!window.empty) return edit.call(link, op);
    window.posting = true;
    const start = performance.now();
    await link.post("ping", {});
    window.floors.push(performance.now() - start);
    window.posting = false;
    link.tell("plan");
    return {};
  };
}"""


def measure_in_process(project: Project, num_edits: int = 60) -> dict:
    """Moved boundaries, a pause after each as a user makes; nothing draws the animatic meanwhile."""
    from mv.ui.studio import Studio

    studio = Studio(project.folder.parent, None, None)
    studio.sketcher.draw = lambda folder, shot=0: None
    number, wall, cpu = -1, [], []
    for i in range(num_edits + 1):
        shots = project.plan().shots
        shot = shots[1 + i % (len(shots) - 1)]
        edit = {"seq": i, "op": "move_boundary", "id": shot.id, "frame": shot.start + 1}
        start, busy = time.perf_counter(), time.thread_time()
        answer = studio.edit({"project": project.name, "number": number, "edits": [edit]})
        wall.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.thread_time() - busy))
        assert answer["acks"][0]["error"] is None, answer
        number = answer["plan"]["number"]
        time.sleep(0.03)
    project.save()
    wall, cpu = sorted(wall[1:]), sorted(cpu[1:])  # the first one reads the plan
    return {
        "median_ms": round(statistics.median(wall), 1),
        "p95_ms": round(wall[int(0.95 * (num_edits - 1))], 1),
        "cpu_median_ms": round(statistics.median(cpu), 1),
        "bytes": len(json.dumps(answer)),
        "shots": len(shots),
    }


EDIT_WORDS = """async (number) => {
  const link = MVStudio.link, card = link.shots[number], start = performance.now();
  const prompt = `wide shot, desert by day, nobody in sight ${start}`;
  await link.edit({op: "set", ids: [card.id], fields: {prompt}});
  while (!link.state.drawn.has(link.state.cards.get(card.id).strip)) await new Promise((done) => setTimeout(done, 20));
  return (performance.now() - start) / 1000;
}"""


def measure_animatic(page, num_edits: int = 8) -> dict:
    """The first one starts the drawing process; it is told apart."""
    first, *times = [page.evaluate(EDIT_WORDS, number) for number in range(num_edits + 1)]
    return {"median_s": round(statistics.median(times), 2), "worst_s": round(max(times), 2), "first_s": round(first, 2)}


def measure_upload(page, song: Path) -> dict:
    """From a first screen. The plan's frames are those of the song; every sheet is there before the song plays."""
    start, busy = time.perf_counter(), cpu_of_children()
    page.set_input_files("#song input[type=file]", str(song))
    seconds = {}

    def reached(what: str, condition: str) -> None:
        page.wait_for_function(condition, timeout=900_000, polling=50)
        seconds[f"{what}_s"] = round(time.perf_counter() - start, 1)

    reached("uploaded", "document.querySelector('#song audio, #song [data-testid=waveform-controls]')")
    page.click("#plan-only")
    reached("plan", "document.querySelector('.mv-shot')")
    drawn = "MVStudio.link.state.drawn.has"
    reached("first_shot", f"MVStudio.link.shots.length && {drawn}(MVStudio.link.shots[0].strip)")
    reached("animatic", f"MVStudio.link.shots.every((card) => {drawn}(card.strip))")
    page.get_by_test_id("play").click()
    reached(
        "playing", "MVStudio.stage.now > 0.2 && document.querySelector('.mv-badge').textContent.includes('ANIMATIC')"
    )
    music, shots = page.evaluate("[MVStudio.link.state.music.duration, MVStudio.link.shots.length]")
    return seconds | {
        "cpu_s": round(cpu_of_children() - busy, 1), "song_s": round(music, 1), "shots": shots, "cores": os.cpu_count(),
    }  # fmt: skip


def cpu_of_children() -> float:
    """Seconds that this process and those it started, the browser not among them, have worked."""
    seconds, parents, ticks = 0.0, {}, os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:  # it has just ended
            continue
        fields = rest.split()
        times = sum(int(fields[k]) for k in (11, 12, 13, 14)) / ticks  # its own, and those of its ended children
        parents[int(stat.parent.name)] = int(fields[1]), 0.0 if "chrom" in name or "node" in name else times
    for pid in parents:
        above = pid
        while above not in (os.getpid(), 0, 1) and above in parents:
            above = parents[above][0]
        seconds += parents[pid][1] if above == os.getpid() else 0.0
    return seconds


def measure_cancel(page, times: int) -> dict:
    """A rendering that is under way; it is begun again each time."""
    seconds = []
    for _ in range(times):
        page.wait_for_selector(".mv-status[data-state=running]", timeout=120_000)
        page.wait_for_selector(".mv-shot.running", state="attached", timeout=120_000)
        page.wait_for_function("Object.values(MVStudio.link.state.progress).some(([state, share]) => share > 0)")
        seconds.append(page.evaluate(CANCEL))
        page.get_by_test_id("retry").click()
    return {"median_s": round(statistics.median(seconds), 2), "worst_s": round(max(seconds), 2), "times": times}


CANCEL = """async () => {
  const start = performance.now(), status = document.querySelector(".mv-status");
  document.querySelector("[data-testid=cancel]").click();
  while (status.dataset.state !== "cancelled") await new Promise((done) => setTimeout(done, 10));
  return (performance.now() - start) / 1000;
}"""


SCROLL = """async (steps) => {
  const scroller = MVStudio.timeline.scroller, times = [];
  MVStudio.timeline.zoom(8, 0);
  await new Promise((done) => setTimeout(done, 800));
  const end = scroller.scrollWidth - scroller.clientWidth, seconds = 6, start = performance.now();
  await new Promise((done) => requestAnimationFrame(function step(now) {
    times.push(now);
    const share = steps ? times.length / steps : (now - start) / 1000 / seconds;
    scroller.scrollLeft = end * Math.min(1, share);
    if (share < 1) requestAnimationFrame(step); else done();
  }));
  const gaps = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
  const fps = 1000 * gaps.length / (times.at(-1) - times[0]);
  return {fps, worst_ms: gaps.at(-1), p95_ms: gaps[Math.floor(0.95 * gaps.length)], pictures: times.length};
}"""


def measure_scroll(page) -> dict:
    """By the clock, twice: the second time the pictures of the shots are there. Then step by step as at 60 pictures a
    second, however long each takes: so a busy machine's page does the same work as a quiet one's."""
    result = {}
    for which, steps in (("first", 0), ("again", 0), ("steps", 360)):
        page.evaluate("MVStudio.timeline.fit()")
        before = main_thread(page)
        seen = page.evaluate(SCROLL, steps)
        ran, waited, browser = (after - earlier for after, earlier in zip(main_thread(page), before))
        number = seen.pop("pictures")
        seen |= {"main_thread_ms": ran / number, "waited_ms": waited / number, "browser_ms": browser / number}
        result[which] = {key: round(value, 1) for key, value in seen.items()}
    return result


def main_thread(page) -> tuple[float, float, float]:
    """Milliseconds that the page's main thread ran, and waited for a core, since it began; and that all threads of the
    browser ran: without a graphics card they paint, too."""
    session = page.context.browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    busiest = max((p for p in processes if p["type"] == "renderer"), key=lambda p: p["cpuTime"])["id"]
    ran, waited, _ = Path(f"/proc/{busiest}/task/{busiest}/schedstat").read_text().split()
    return int(ran) / 1e6, int(waited) / 1e6, 1000 * sum(process["cpuTime"] for process in processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--shots", type=int, default=200)
    parser.add_argument("--cancels", type=int, default=5)
    parser.add_argument("--only", choices=("edit", "cancel", "scroll"), help="one of them")
    parser.add_argument("--no-render", action="store_true", help="measure edits with nothing rendering beside them")
    parser.add_argument("--model", default="animatic", help="what renders beside the edits and is cancelled")
    parser.add_argument("--upload", metavar="SONG", type=Path, help="from this song to its animatic, and nothing else")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        if options.upload:
            with studio_page(browser, Path(folder)) as page:
                report("upload", measure_upload(page, options.upload))
        else:
            measure_projects(browser, Path(folder), options)
        browser.close()


def measure_projects(browser, home: Path, options: argparse.Namespace) -> None:
    wanted = [options.only] if options.only else ["edit", "cancel", "scroll"]
    if "scroll" in wanted:
        project = make_project(home / "long", 1200.0, 600)
        report("in process", measure_in_process(project))
        with studio_page(browser, project.folder.parent, project.name) as page:
            page.wait_for_function("MVStudio.timeline.scale > 0")
            page.wait_for_timeout(3000)  # what the page does once is over
            report("scroll", measure_scroll(page) | {"minutes": 20, "shots": 600})
    if {"edit", "cancel"} & set(wanted):
        project = make_project(home / "edit", 400.0, options.shots, options.model)
        if "edit" in wanted:
            report("in process", measure_in_process(project))
        with studio_page(browser, project.folder.parent, project.name) as page:
            if "edit" in wanted:
                report("animatic", measure_animatic(page))
            if not options.no_render or "cancel" in wanted:
                page.get_by_test_id("render").click()
                page.wait_for_selector(".mv-status[data-state=running]")
                page.wait_for_selector(".mv-shot.running", state="attached", timeout=120_000)
            if "edit" in wanted:
                beside = {"shots": options.shots, "rendering": not options.no_render and options.model}
                report("edit", measure_edits(page, options.edits) | beside)
            if "cancel" in wanted:
                report("cancel", measure_cancel(page, options.cancels) | {"model": options.model})


@contextmanager
def studio_page(browser, home: Path, project: str = ""):
    """A page of a studio over these projects; of a project, as soon as its shots are there."""
    from mv.ui.blocks import launch

    os.environ |= {"MV_HOME": str(home), "GRADIO_TEMP_DIR": str(home / "uploads")}
    home.mkdir(parents=True, exist_ok=True)
    blocks = launch(home, block=False)
    try:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(blocks.local_url + (f"?project={project}" if project else ""))
        page.wait_for_selector(".mv-shot" if project else "#make", state="attached", timeout=120_000)
        yield page
        page.close()
    finally:
        blocks.close()
        blocks.studio.stop()


def report(what: str, result: dict) -> None:
    print(json.dumps({"measured": what, **result, "load": round(os.getloadavg()[0], 2)}), flush=True)


if __name__ == "__main__":
    main()
