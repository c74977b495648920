"""`python -m mv train`: the embedded model from nothing, in four commands that each resume where they stopped."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Train the embedded model on the stage world. Every command resumes.")

RUNS = Path("runs")
Minutes = typer.Option(60.0, help="stop after so many minutes; run the same command again to go on")
Decay = typer.Option(0, help="let the learning rate fall to zero over the last so many steps")
Processes = typer.Option(2, help="processes that share the gradients; one a CPU core, 1 on a GPU")


@app.command()
def autoencoder(steps: int = 3000, decay_steps: int = Decay, minutes: float = Minutes, processes: int = Processes,
                run: Path = RUNS / "autoencoder", target: Path = RUNS / "model" / "vae"):  # fmt: skip
    """1. Pictures to latents and back. Writes `target` when the steps are done."""
    from mv.train.autoencoder import finish_autoencoder, train_autoencoder

    train_autoencoder(run, steps, decay_steps, minutes, processes)
    typer.echo(finish_autoencoder(run, target))


@app.command()
def polish(steps: int = 400, minutes: float = Minutes, processes: int = Processes, run: Path = RUNS / "polish",
           begun: Path = RUNS / "autoencoder", target: Path = RUNS / "model" / "vae"):  # fmt: skip
    """1b. Sharpen the decoder against a critic; latents stay what they are. Replaces that of `target`."""
    from mv.train.autoencoder import finish_autoencoder, polish_decoder

    polish_decoder(run, begun, steps, minutes, processes)
    typer.echo(finish_autoencoder(run, target, polished=True))


@app.command()
def latents(shards: int = 60, seed: int = 0, vae: Path = RUNS / "model" / "vae", folder: Path = RUNS / "latents"):
    """2. Paint and encode clips for the transformer; may run beside its training."""
    from mv.train.transformer import paint_latents

    paint_latents(folder, vae, shards, seed)


@app.command()
def transformer(
    steps: int = 12000,
    decay_steps: int = Decay,
    minutes: float = Minutes,
    processes: int = Processes,
    run: Path = RUNS / "transformer",
    folder: Path = RUNS / "latents",
    start: Annotated[Path | None, typer.Option(help="a model folder whose weights a new run begins with")] = None,
):
    """3. The transformer and its text encoder, by flow matching."""
    from mv.train.loop import Schedule
    from mv.train.transformer import Course, Diet, train_transformer

    diet = Diet() if start is None else Diet(image_share=(0.3, 0.15))  # a trained model knows the looks
    train_transformer(Course(run, folder, Schedule(steps, 60, decay_steps), minutes, start, diet), processes)


@app.command()
def distill(
    steps: int = 400,
    minutes: float = Minutes,
    processes: int = Processes,
    teacher: Annotated[Path, typer.Option(help="an exported model; the student begins as it")] = RUNS / "mv-mini",
    run: Path = RUNS / "distilled",
    folder: Path = RUNS / "latents",
    sampler_steps: Annotated[int, typer.Option(help="steps of the sampler that is taught")] = 4,
    guidance: Annotated[float, typer.Option(help="the teacher's guidance, which the student needs no more")] = 2.0,
):
    """3b. Teach the transformer to take the sampler's few large steps, without guidance."""
    from mv.train.distill import Lesson, distill
    from mv.train.loop import Schedule

    distill(Lesson(run, folder, teacher, Schedule(steps, 30, steps // 3), minutes, sampler_steps, guidance), processes)


@app.command()
def pairs(model: str = "mv-mini", shards: int = 4, seed: int = 0, folder: Path = RUNS / "pairs"):
    """3c. Films of the same shots by an installed model, judged: what preference tuning learns from."""
    from mv.model.catalog import load_renderer
    from mv.train.preference import sample_pairs

    sample_pairs(load_renderer(model), folder, shards, seed)


@app.command()
def prefer(steps: int = 200, minutes: float = Minutes, processes: int = Processes, beta: float = 200.0,
           begun: Annotated[Path, typer.Option(help="the exported model to tune")] = Path("assets/models/mv-mini"),
           run: Path = RUNS / "preferred", folder: Path = RUNS / "pairs"):  # fmt: skip
    """3d. Tune the transformer towards the better film of each pair (Flow-DPO)."""
    from mv.train.loop import Schedule
    from mv.train.preference import Tuning, tune

    tune(Tuning(run, folder, begun, Schedule(steps, 10, steps // 3), minutes, beta), processes)


@app.command()
def export(target: Path = Path("assets/models/mv-mini"), run: Path = RUNS / "transformer",
           vae: Path = RUNS / "model" / "vae"):  # fmt: skip
    """4. Put the averaged weights together as one diffusers pipeline."""
    from mv.train.export import export_pipeline

    export_pipeline(run, vae, target)
    typer.echo(f"model: {target}")


@app.command()
def card(model: str = "mv-mini", target: Path = Path("assets/models/mv-mini"), runs: Path = RUNS):
    """5. The pictures of the model card: sample sheet and, where the runs' logs are, loss curves."""
    from mv.model.catalog import load_renderer
    from mv.train.card import loss_curve, sample_sheet

    sample_sheet(load_renderer(model), target / "samples.jpg")
    logs = {
        "autoencoder": (runs / "autoencoder" / "log.csv", "psnr"),
        "transformer": (runs / "transformer" / "log.csv", "loss_video"),
    }
    if all(file.exists() for file, _ in logs.values()):
        loss_curve(logs, target / "loss.png")
    typer.echo(f"pictures: {target}")


@app.command()
def beats(
    pieces: Annotated[int, typer.Option(help="to compose, play and learn from; about two seconds each")] = 400,
    steps: int = 1200,
    decay_steps: int = 400,
    minutes: float = Minutes,
    run: Path = RUNS / "beats",
    target: Path = Path("assets/models/beats"),
):
    """The listener's beat network, from composed music; apart from the other commands."""
    from mv.train.beat_network import Course, train, write_network
    from mv.train.beats import licensed_instruments
    from mv.train.loop import Schedule
    from mv.train.pieces import chosen_seeds, compose_lessons

    say = lambda done: typer.echo(f"\rpieces: {done}", nl=False)
    files = compose_lessons(run / "pieces", chosen_seeds(pieces), licensed_instruments(), say)
    write_network(train(Course(run, Schedule(steps, 50, decay_steps), minutes), files), target)
    typer.echo(f"\nnetwork: {target}")


@app.command()
def metre(
    pieces: Annotated[int, typer.Option(help="to compose, play and learn from; about two seconds each")] = 200,
    folder: Path = RUNS / "metre",
    target: Path = Path("mv/analysis/metre.json"),
):
    """The weights for off-beats and bars of the listener without a network, from composed music."""
    from mv.train.beats import compose_lessons, fit, write_weights

    lessons = compose_lessons(folder, pieces, lambda done: typer.echo(f"\rpieces: {done}", nl=False))
    write_weights(fit(lessons), target)
    typer.echo(f"\nweights: {target}")
