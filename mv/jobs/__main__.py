"""python -m mv.jobs HOME: one worker, by hand."""

from mv.jobs.worker import main

main()
