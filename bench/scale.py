"""10,000 songs a day, on paper: how many devices, and whether store, scheduler or network give way first.

    python bench/scale.py                     writes bench/results/scale.json; docs/scale.md tells what follows

The store's speed and the scheduler's work for one shot are measured here, on the real classes. A day of songs is then
simulated: they come by the hour of the day, each is heard on a processor core, its shots go to the devices, the first
song's first, and devices break down. What is assumed stands in `Assumed`.
"""

import argparse
import heapq
import json
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))

DAY = 86400.0


@dataclass(frozen=True)
class Assumed:
    """length, shots: of a song in seconds, of its film. pace: seconds a device draws for a second of film. core:
    seconds of one processor core for listening and assembly, a second of film. rate: bytes a second of film, takes as
    they travel. peak: how much busier the busiest hour is than the mean. lifetime, repair: hours of a device."""

    songs: int = 10_000
    length: float = 210.0
    shots: int = 60
    pace: float = 4.0
    core: float = 0.25
    rate: float = 500_000.0
    peak: float = 2.0
    lifetime: float = 200.0
    repair: float = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pace", type=float, default=Assumed.pace, help="seconds a device draws for a second of film")
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/scale.json")
    options = parser.parse_args()
    assumed = replace(Assumed(), pace=options.pace)
    work = assumed.songs * assumed.length * assumed.pace / DAY  # devices that are busy in the mean
    days = [simulate(assumed, round(work * margin)) for margin in (1.1, 1.5, 2.0, 2.5)]
    store, beats, shot = store_speed(False), store_speed(True), scheduler_speed()
    report = {
        "assumed": asdict(assumed),
        "measured": {
            "store, writes a second of one core": round(store),
            "store, heartbeats a second of one core": round(beats),
            "scheduler, shots a second of one core": round(shot),
        },
        "days": days,
        "needed at the peak, with twice the devices": needs(assumed, days[2]["films in work at most"]),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def needs(assumed: Assumed, films: int) -> dict[str, str]:
    """What the busiest hour asks of each part. films: in work at once."""
    songs = assumed.songs / DAY * assumed.peak
    beats = films * 2 * 2  # a heartbeat and a note of progress for each film, both twice a second
    network = songs * assumed.length * assumed.rate * 8 / 1e9
    return {
        "store": f"{songs * (4 + 2 * assumed.shots):.0f} writes and {beats} heartbeats and progress a second",
        "scheduler": f"{songs * assumed.shots:.0f} shots a second",
        "network": f"{network:.2f} Gbit/s of takes into the machine that assembles",
        "disk": f"{assumed.songs * assumed.length * assumed.rate / 1e12:.1f} TB of takes a day",
        "cores": f"{songs * assumed.length * assumed.core:.0f} for listening and assembly",
    }


# ---------------------------------------------------------------- a day


def simulate(assumed: Assumed, devices: int, seed: int = 0) -> dict:
    """Shots of the song that came first go first; a device that breaks down gives its shot back."""
    rng = random.Random(seed)
    events: list[tuple] = [(at, "song", number) for number, at in enumerate(arrivals(assumed, rng))]
    events += [(rng.expovariate(1 / (assumed.lifetime * 3600)), "broken", device) for device in range(devices)]
    heapq.heapify(events)
    came, left = {}, {}
    waiting: deque[int] = deque()  # a song for each shot to be drawn
    free, drawing = set(range(devices)), {}
    took, busy, most, in_work, lost, now = [], 0.0, 0, 0, 0, 0.0
    shot = assumed.length / assumed.shots * assumed.pace
    while events and len(took) < assumed.songs:
        now, what, who = heapq.heappop(events)
        if what == "song":
            came[who], left[who] = now, assumed.shots
            heard = now + assumed.length * assumed.core * 0.7
            heapq.heappush(events, (heard, "heard", who))
            in_work += 1
            most = max(most, in_work)
        elif what == "heard":
            waiting.extend([who] * assumed.shots)
        elif what == "drawn":
            if drawing.get(who, (None, None))[1] != now:
                continue  # it broke down before
            song, _ = drawing.pop(who)
            free.add(who)
            left[song] -= 1
            if not left[song]:
                took.append(now + assumed.length * assumed.core * 0.3 - came[song])
                in_work -= 1
        elif what == "broken":
            if who in drawing:
                waiting.appendleft(drawing.pop(who)[0])
                lost += 1
            free.discard(who)
            heapq.heappush(events, (now + assumed.repair * 3600, "mended", who))
        else:
            free.add(who)
            heapq.heappush(events, (now + rng.expovariate(1 / (assumed.lifetime * 3600)), "broken", who))
        while free and waiting:
            device, song = free.pop(), waiting.popleft()
            seconds = shot * rng.uniform(0.6, 1.4)
            busy += seconds
            drawing[device] = (song, now + seconds)
            heapq.heappush(events, (now + seconds, "drawn", device))
    quantiles = statistics.quantiles(took, n=20)
    return {
        "devices": devices,
        "busy": round(busy / devices / now, 2),
        "minutes from song to film, median": round(statistics.median(took) / 60, 1),
        "minutes, 19 of 20": round(quantiles[-1] / 60, 1),
        "films in work at most": most,
        "shots drawn again after a breakdown": lost,
    }


def arrivals(assumed: Assumed, rng: random.Random) -> list[float]:
    """Seconds of the day: fewest at its ends, `peak` times the mean in the middle."""
    hours = [1 + (assumed.peak - 1) * (1 - abs(hour - 11.5) / 5.75) for hour in range(24)]
    chosen = rng.choices(range(24), [max(0.05, hour) for hour in hours], k=assumed.songs)
    return sorted(3600 * (hour + rng.random()) for hour in chosen)


# ---------------------------------------------------------------- what is measured


def store_speed(beats: bool, seconds: float = 0.4) -> float:
    """Heartbeats, or writes that are on the disk before the next (a shot's start and end), a second of processor time:
    what the machine does besides does not count, nor does waiting for the disk."""
    from mv.jobs import JobStore, Progress

    with tempfile.TemporaryDirectory() as folder:
        store = JobStore(folder)
        job = store.submit("song", "render")
        store.claim("here:1:a")
        store.plan_shots(job.id, [(f"s{number}", "key") for number in range(60)], set())
        start, done = time.process_time(), 0
        while time.process_time() - start < seconds:
            if beats:
                store.beat(job.id, "here:1:a", Progress("Rendering", 0.5))
            elif done % 2:
                store.end_shot(job.id, f"s{done // 2 % 60}", 1.0)
            else:
                store.start_shot(job.id, f"s{done // 2 % 60}")
            done += 1
        return done / (time.process_time() - start)


def scheduler_speed(shots: int = 180) -> float:
    """Shots a second of processor time through ClusterExecutor, over devices that draw in no time: keys, parcels,
    hashes, files."""
    from conftest import CountingRenderer, conditions_of
    from test_executors import FakeCluster
    from test_sixty_shots import sixty_shots

    from mv import executors, generation
    from mv.executors import ClusterExecutor, draw

    renderer, known = CountingRenderer(), {}

    class Instant(FakeCluster):
        def _result(self, device, number, parcel):
            if "one" not in known:
                known["one"] = draw(self.renderer, parcel, lambda share: None)
            take = known["one"].take.model_copy(update={"key": parcel.key, "file": f"{parcel.key}.mp4"})
            return replace(known["one"], take=take)

    executors.PATIENCE = generation.PATIENCE = 0.0
    with tempfile.TemporaryDirectory() as folder:
        plan = sixty_shots(Path(folder))
        start = time.process_time()
        for number in range(shots // len(plan.shots)):
            executor = ClusterExecutor(Instant(renderer, [f"d{i}" for i in range(16)], polls=1))
            generation.generate(plan, conditions_of(plan), executor, Path(folder) / str(number))
        return shots / (time.process_time() - start)


if __name__ == "__main__":
    main()
