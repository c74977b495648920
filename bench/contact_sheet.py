"""A film on one page: a frame every so many seconds, with its time.

python bench/contact_sheet.py film.mp4 sheet.jpg --every 5 --columns 6
"""

import argparse

import av
import cv2
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film")
    parser.add_argument("sheet")
    parser.add_argument("--every", type=float, default=5.0, help="seconds")
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--width", type=int, default=256, help="pixels of one picture")
    arguments = parser.parse_args()
    pictures = [small(frame, time, arguments.width) for frame, time in frames_at(arguments.film, arguments.every)]
    missing = -len(pictures) % arguments.columns
    pictures += [np.zeros_like(pictures[0])] * missing
    rows = [np.hstack(pictures[i : i + arguments.columns]) for i in range(0, len(pictures), arguments.columns)]
    cv2.imwrite(arguments.sheet, cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


def frames_at(film: str, every: float):
    """(frame (h, w, 3) RGB, seconds) at every, 2·every, ..."""
    due = every / 2
    with av.open(film) as container:
        for frame in container.decode(video=0):
            if frame.time >= due:
                yield frame.to_ndarray(format="rgb24"), frame.time
                due += every


def small(frame: np.ndarray, time: float, width: int) -> np.ndarray:
    picture = cv2.resize(frame, (width, round(width * frame.shape[0] / frame.shape[1])), interpolation=cv2.INTER_AREA)
    label = f"{int(time) // 60}:{int(time) % 60:02d}"
    for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(picture, label, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, color, thickness, cv2.LINE_AA)
    return picture


if __name__ == "__main__":
    main()
