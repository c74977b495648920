"""Training of the embedded model, from nothing but the stage world: `python -m mv train --help`."""
