"""python -m mv"""

from mv.cli import main

if __name__ == "__main__":
    main()
