"""Files made to hurt: sound, pictures, lyrics, project zips and plans with bytes changed at random.

    python bench/fuzz.py --cases 500               writes bench/results/fuzz.json

Each case is read as the program reads an upload, in a process that is watched. It may be taken, or refused with one of
our errors; anything else is a fault: another exception, a crash, more than a minute, a file outside of the project.
"""

import argparse
import io
import json
import os
import random
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))

KINDS = ("audio", "image", "lyrics", "zip", "plan")
HANG = 60.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/fuzz.json")
    options = parser.parse_args()
    report = {}
    for kind in KINDS:
        report[kind] = run(kind, options.cases, options.seed)
        print(kind, report[kind], flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(any(counts["faults"] for counts in report.values()))


def run(kind: str, cases: int, seed: int) -> dict:
    """Counts of what became of the cases, and each fault in a line."""
    counts: Counter[str] = Counter()
    faults, slowest, done = [], 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Path(folder)
        while done < cases:
            child = subprocess.Popen(
                [sys.executable, __file__, "--child", kind, str(seed), str(done), str(cases), str(sandbox / "work")],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=sandbox,
            )
            if child.stdout.readline().strip() != "ready":
                raise RuntimeError(f"the {kind} samples could not be made")
            for line, seconds in watched(child):
                number, outcome = line.split(" ", 1)
                done, slowest = int(number) + 1, max(slowest, seconds)
                counts[outcome.split(":")[0]] += 1
                if outcome.startswith("fault"):
                    faults.append(line)
            child.wait()
            if done < cases:  # it died or hung in the middle of this one
                faults.append(f"{done} ended with {child.returncode}")
                done += 1
        strays = [path.name for path in sandbox.iterdir() if path.name != "work"]
        faults += [f"a file outside: {name}" for name in strays]
    return {"cases": cases, **counts, "slowest, seconds": round(slowest, 2), "faults": faults}


def watched(child: subprocess.Popen):
    """Its lines and how long each took; it is killed where one takes longer than HANG."""
    selector = selectors.DefaultSelector()
    selector.register(child.stdout, selectors.EVENT_READ)
    while True:
        since = time.monotonic()
        if not selector.select(HANG):
            child.kill()
            return
        line = child.stdout.readline()
        if not line:
            return
        yield line.strip(), time.monotonic() - since


# ---------------------------------------------------------------- the child


def be_child(kind: str, seed: str, first: str, cases: str, folder: str) -> None:
    work = Path(folder)
    work.mkdir(exist_ok=True)
    os.environ["MV_HOME"] = str(work / "home")
    samples = make_samples(kind, work)
    print("ready", flush=True)
    for number in range(int(first), int(cases)):
        print(number, try_case(kind, samples, random.Random(f"{seed} {kind} {number}"), work), flush=True)


def try_case(kind: str, samples: list[tuple[str, bytes]], rng: random.Random, work: Path) -> str:
    """taken, refused, or fault: and what."""
    from mv.errors import MusicVideoError

    name, content = rng.choice(samples)
    path = work / name
    path.write_bytes(mutated(content, rng))
    try:
        READERS[kind](path, work)
    except MusicVideoError as error:
        return "refused" if len(str(error)) < 2000 else "fault: an endless message"
    except Exception as error:
        return " ".join(f"fault: {type(error).__name__}: {error}".split())[:300]
    return "taken"


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, runs of them repeated, removed or blown up, or the end cut off; more often near the beginning,
    where headers are."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        at = min(int(len(content) * rng.random() ** rng.choice((1, 4))), len(content) - 1)
        what = rng.randrange(6)
        if what <= 1:
            content[at] = rng.randrange(256)
        elif what == 2:
            content[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"))
        elif what == 3:
            content[at:at] = content[at : at + rng.randrange(1, 64)] * rng.randrange(1, 20)
        elif what == 4:
            del content[at : at + rng.randrange(1, 64)]
        elif rng.random() < 0.2:
            del content[at:]
        if not content:
            return b""
    return bytes(content)


def make_samples(kind: str, work: Path) -> list[tuple[str, bytes]]:
    """(file name, content) of sound files to begin with."""
    return {"audio": _sounds, "image": _images, "lyrics": _lyrics, "zip": _zips, "plan": _plans}[kind](work)


def _sounds(work: Path) -> list[tuple[str, bytes]]:
    import av
    from conftest import SR, click_samples, write_wav

    wav = write_wav(work / "song.wav", click_samples(1.5, SR), SR)
    samples = [("song.wav", wav.read_bytes())]
    for suffix, codec in ((".mp3", "mp3"), (".flac", "flac"), (".m4a", "aac"), (".ogg", "libopus")):
        path = work / f"made{suffix}"
        with av.open(str(wav)) as source, av.open(str(path), "w") as sink:
            stream = sink.add_stream(codec, rate=48000 if codec == "libopus" else SR, layout="stereo")
            resampler = av.AudioResampler(stream.format, "stereo", stream.rate)
            for frame in source.decode(audio=0):
                for part in resampler.resample(frame):
                    sink.mux(stream.encode(part))
            sink.mux(stream.encode(None))
        samples.append((f"song{suffix}", path.read_bytes()))
    return samples


def _images(work: Path) -> list[tuple[str, bytes]]:
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    samples = []
    for suffix, kind in ((".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP"), (".gif", "GIF"), (".bmp", "BMP")):
        file = io.BytesIO()
        picture.save(file, kind)
        samples.append((f"look{suffix}", file.getvalue()))
    return samples


def _lyrics(work: Path) -> list[tuple[str, bytes]]:
    lrc = "".join(f"[00:{number:02d}.50]line <00:{number:02d}.70>number {number}\n" for number in range(40))
    srt = "".join(f"{n}\n00:00:{n:02d},000 --> 00:00:{n + 1:02d},500\nwörds {n}\n\n" for n in range(1, 40))
    return [("words.lrc", lrc.encode()), ("words.srt", srt.encode()), ("words.txt", b"a line\n\nanother\n")]


def _plans(work: Path) -> list[tuple[str, bytes]]:
    from test_sixty_shots import sixty_shots

    from mv import make

    make.save_plan(sixty_shots(work), work / "plan.json")
    return [("plan.json", (work / "plan.json").read_bytes()), ("analysis.json", (work / "analysis.json").read_bytes())]


def _zips(work: Path) -> list[tuple[str, bytes]]:
    from mv.archive import export_project

    folder = work / "clicks"
    folder.mkdir(exist_ok=True)
    for name, content in [*_plans(folder), ("project.json", b"{}")]:
        (folder / name).write_bytes(content)
    (folder / "song.wav").write_bytes(bytes(2000))
    return [("project.zip", export_project(folder, work / "packed.zip").read_bytes())]


def _read_sound(path: Path, work: Path) -> None:
    """As a plan job does: what can be decoded is listened to and planned."""
    from mv import make

    make.plan_film(path)


def _read_picture(path: Path, work: Path) -> None:
    from mv.reference import read_image, read_palette, read_person

    for read in (read_image, read_palette, read_person):
        read(path)


def _read_words(path: Path, work: Path) -> None:
    from mv.lyrics import read_lyrics

    read_lyrics(path, 60.0)


def _read_plan(path: Path, work: Path) -> None:
    from mv import make
    from mv.schema import Analysis

    if path.name == "analysis.json":
        Analysis.load(path)
    else:
        plan = make.load_plan(path)
        heard = make.read_analysis(plan)
        for index in range(len(plan.shots)):
            make.conditions(plan, index, heard)


def _read_zip(path: Path, work: Path) -> None:
    from mv.archive import import_project

    import_project(path, work / "home")


READERS = {"audio": _read_sound, "image": _read_picture, "lyrics": _read_words, "zip": _read_zip, "plan": _read_plan}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        be_child(*sys.argv[2:])
    else:
        main()
