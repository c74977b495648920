"""Work that outlives the tab: a durable job store and the processes that do the jobs.

What a page calls, all on `JobStore(home)`, all safe from any thread or process; a project is named by its folder:

    submit(project, kind, priority=0) -> Job     queue a plan, make or render; InputError while one is open
    status(project) -> Job | None                its newest job: state, message, progress, eta, error; `.open`
    shots(project) -> list[ShotProgress]         every shot of that job: state, progress 0..1, attempts, error
    prioritise(project, shot_ids)                render these first, in this order, from the next shot on; [] forgets
    pause(job_id), resume(job_id)                it stops within 2 s and keeps its place; what was finished is kept
    cancel(job_id), retry(job_id)                retry: a failed or cancelled job goes on from what was finished
    attempts(job_id) -> list[Attempt]            who tried what, when, and how it ended

`Worker(home).ensure()` keeps one worker process alive that plans, and one for each device that renders: a plan never
waits for somebody's film. `python -m mv.jobs HOME` runs one by hand that does both.

A job's `state`: queued → running → done, failed, cancelled, or paused (by the user, or by a full disk: `needs` bytes
have to be free, then it goes on by itself). queued, running and paused jobs are open. A device does one job at a time,
that of the highest priority: another one gives way at its next window, and goes on from there. A make job is queued
again, for its rendering, when it is planned.
A worker that dies leaves a heartbeat that goes stale; its job returns to the queue and goes on from the takes already
made. Faults are tried again with back-off, what only the user can mend is not.
"""

from mv.jobs.ledger import ShotLedger, picture_path
from mv.jobs.store import PLANNING, Attempt, Job, JobStore, Kind, Progress, ShotProgress, State
from mv.jobs.worker import Report, Run, Worker, work

__all__ = [
    "PLANNING",
    "Attempt",
    "Job",
    "JobStore",
    "Kind",
    "Progress",
    "Report",
    "Run",
    "ShotLedger",
    "ShotProgress",
    "State",
    "Worker",
    "picture_path",
    "work",
]
